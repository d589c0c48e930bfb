/* What the shortest call costs, in time of the virtual counter: the loop around it included. */
#include <stdint.h>
#include <stdio.h>

#include "sis/syscalls.h"

static uint64_t counter(void) {
  uint64_t value;
  __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value) : : "memory");
  return value;
}

int main(void) {
  enum { kCalls = 10000 };
  uint64_t frequency;
  __asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
  const uint64_t before = counter();
  for (int i = 0; i < kCalls; ++i) {
    sis_syscall(SIS_SYS_GETPID, 0, 0, 0);
  }
  const uint64_t ticks = counter() - before;
  printf("null_syscall_ns=%lu\n", (unsigned long)(ticks * 1000000000 / frequency / kCalls));
  return 0;
}
