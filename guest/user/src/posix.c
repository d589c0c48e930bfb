/* What the C library needs of a system, and POSIX's names for the kernel's calls. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "sis/syscalls.h"

_Static_assert(EBADF == SIS_EBADF && EFAULT == SIS_EFAULT && EINVAL == SIS_EINVAL, "the kernel's errors");

/* -1 and errno, as POSIX has it. */
static long result(long answer) {
  if (answer < 0 && answer > -4096) {
    errno = answer == -SIS_ENOSYS ? ENOSYS : (int)-answer;
    return -1;
  }
  return answer;
}

ssize_t write(int fd, const void* data, size_t bytes) {
  return result(sis_syscall(SIS_SYS_WRITE, (uintptr_t)fd, (uintptr_t)data, bytes));
}

void _exit(int status) {
  for (;;) {
    sis_syscall(SIS_SYS_EXIT_GROUP, (uintptr_t)status, 0, 0);
  }
}

/* There are no signals. A program that sends itself one, as abort() does, ends with the status that shells give. */
int kill(pid_t pid, int signal) {
  if (pid != getpid()) {
    errno = ESRCH;
    return -1;
  }
  _exit(128 + signal);
}

pid_t getpid(void) { return (pid_t)sis_syscall(SIS_SYS_GETPID, 0, 0, 0); }

/* As Linux's C libraries do it, by clone(SIGCHLD = 17). */
pid_t fork(void) { return (pid_t)result(sis_syscall(SIS_SYS_CLONE, 17, 0, 0)); }

int sched_yield(void) { return (int)result(sis_syscall(SIS_SYS_SCHED_YIELD, 0, 0, 0)); }

int nanosleep(const struct timespec* time, struct timespec* left) {
  return (int)result(sis_syscall(SIS_SYS_NANOSLEEP, (uintptr_t)time, (uintptr_t)left, 0));
}

/* The C library has other numbers for the clocks than the kernel. */
int clock_gettime(clockid_t clock, struct timespec* time) {
  uintptr_t number = 0;
  switch (clock) {
    case CLOCK_REALTIME:
      number = 0;
      break;
    case CLOCK_MONOTONIC:
      number = 1;
      break;
    case CLOCK_THREAD_CPUTIME_ID:
      number = 3;
      break;
    default:
      errno = EINVAL;
      return -1;
  }
  return (int)result(sis_syscall(SIS_SYS_CLOCK_GETTIME, number, (uintptr_t)time, 0));
}

/* malloc()'s memory. The kernel answers with where the heap ends, which is where it was if it cannot be moved. */
void* sbrk(ptrdiff_t increment) {
  const uintptr_t end = (uintptr_t)sis_syscall(SIS_SYS_BRK, 0, 0, 0);
  const uintptr_t wanted = end + (uintptr_t)increment;
  if ((increment > 0) != (wanted > end) && increment != 0) {
    errno = ENOMEM;
    return (void*)-1;
  }
  if ((uintptr_t)sis_syscall(SIS_SYS_BRK, wanted, 0, 0) != wanted) {
    errno = ENOMEM;
    return (void*)-1;
  }
  return (void*)end;
}
