/* From _start to main() and from its end to exit(). */
#include <stdint.h>
#include <stdlib.h>

extern char __tls_base[], __tls_align[]; /* user.ld */
extern void __libc_init_array(void);
extern int main(int argc, char** argv, char** envp);

_Noreturn void sis_start(uintptr_t* stack);

_Noreturn void sis_start(uintptr_t* stack) {
  /* ELF for the Arm 64-bit Architecture, "Thread-local storage": the block lies behind a control block of two words. */
  const uintptr_t alignment = (uintptr_t)__tls_align > 16 ? (uintptr_t)__tls_align : 16;
  __asm__ volatile("msr tpidr_el0, %0" : : "r"((uintptr_t)__tls_base - alignment) : "memory");
  __libc_init_array();
  const int argc = (int)stack[0];
  char** const argv = (char**)(stack + 1);
  exit(main(argc, argv, argv + argc + 1));
}
