/* System calls of the SIS kernel: Linux's numbers and conventions for AArch64. POSIX's functions for them are in the C
 * library's headers (<unistd.h>, <time.h>, <sched.h>); this is for what has none. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  SIS_SYS_WRITE = 64,
  SIS_SYS_EXIT = 93,
  SIS_SYS_EXIT_GROUP = 94,
  SIS_SYS_NANOSLEEP = 101,
  SIS_SYS_CLOCK_GETTIME = 113,
  SIS_SYS_SCHED_YIELD = 124,
  SIS_SYS_GETPID = 172,
  SIS_SYS_BRK = 214,
  SIS_SYS_CLONE = 220
};

/* The kernel's errors are Linux's; those of the C library's <errno.h> have other numbers above 34. */
enum { SIS_EBADF = 9, SIS_EFAULT = 14, SIS_EINVAL = 22, SIS_ENOSYS = 38 };

/* The kernel's answer: a result, or the negative of an error. All registers but x0 stay as they were. */
static inline long sis_syscall(long number, uintptr_t a, uintptr_t b, uintptr_t c) {
  register uintptr_t x8 __asm__("x8") = (uintptr_t)number;
  register uintptr_t x0 __asm__("x0") = a;
  register uintptr_t x1 __asm__("x1") = b;
  register uintptr_t x2 __asm__("x2") = c;
  /* memory: the kernel reads and writes what the arguments point to. */
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return (long)x0;
}

#ifdef __cplusplus
}
#endif
