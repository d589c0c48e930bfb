/* Ways to die. "crash KIND" does it; the kernel kills the task with a report that names the cause. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_IMAGE 0xffff800000000000
#define STACK_BOTTOM 0x00007ffffffd0000 /* guest/process/user_space.hpp */

/* Not known to the compiler, so that it cannot draw conclusions. */
static volatile uintptr_t target;

static void read_at(uintptr_t address) {
  target = address;
  (void)*(volatile const char*)target;
}
static void write_at(uintptr_t address) {
  target = address;
  *(volatile char*)target = 1;
}
static void call(uintptr_t address) {
  target = address;
  ((void (*)(void))target)();
}

static void null_read(void) { read_at(0); }
static void null_write(void) { write_at(16); }
static void null_call(void) { call(0); }
static void kernel_read(void) { read_at(KERNEL_IMAGE); }
static void kernel_write(void) { write_at(KERNEL_IMAGE); }
static void kernel_call(void) { call(KERNEL_IMAGE); }
static void code_write(void) { write_at((uintptr_t)code_write); }
static void data_call(void) {
  static uint32_t ret = 0xd65f03c0;
  call((uintptr_t)&ret);
}
static void odd_call(void) { call((uintptr_t)odd_call + 2); }
static void guard(void) { write_at(STACK_BOTTOM - 8); }
static void undefined(void) { __asm__ volatile("udf #0"); }
static void breakpoint(void) { __asm__ volatile("brk #7"); }
static void privileged(void) { __asm__ volatile("mrs x0, sctlr_el1" : : : "x0"); }
/* The kernel's timer: a task that could stop it could not be stopped. */
static void timer(void) { __asm__ volatile("msr cntv_ctl_el0, xzr"); }
static void loop(void) {
  for (;;) {
  }
}

static int recurse(volatile int depth) {
  volatile char frame[512];
  frame[0] = (char)depth;
  return (uintptr_t)depth == target ? 0 : recurse(depth + 1) + frame[0];
}
static void stack_overflow(void) {
  target = UINTPTR_MAX;
  recurse(0);
}

/* Takes all memory that there is; the kernel says no at some point, and goes on saying no. */
static void memory(void) {
  unsigned pages = 0;
  while (sbrk(4096) != (void*)-1) {
    ++pages;
  }
  printf("%u pages, then ENOMEM\n", pages);
  write_at((uintptr_t)sbrk(0) + 4096);
}

static const struct {
  const char* name;
  void (*run)(void);
} kKinds[] = {
    {"null-read", null_read},
    {"null-write", null_write},
    {"null-call", null_call},
    {"kernel-read", kernel_read},
    {"kernel-write", kernel_write},
    {"kernel-call", kernel_call},
    {"code-write", code_write},
    {"data-call", data_call},
    {"odd-call", odd_call},
    {"guard", guard},
    {"undefined", undefined},
    {"breakpoint", breakpoint},
    {"privileged", privileged},
    {"timer", timer},
    {"loop", loop},
    {"stack-overflow", stack_overflow},
    {"memory", memory},
};

int main(int argc, char** argv) {
  for (unsigned i = 0; i < sizeof(kKinds) / sizeof(kKinds[0]); ++i) {
    if (argc == 2 && strcmp(argv[1], kKinds[i].name) == 0) {
      kKinds[i].run();
      printf("survived %s\n", argv[1]);
      return 1;
    }
  }
  printf("usage: crash KIND\n");
  return 2;
}
