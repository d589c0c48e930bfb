/* What the kernel promises to programs that behave, and what it answers to those that do not ask well. Exits with the
 * number of failures. */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sis/syscalls.h"

static int failures;

static void check(const char* name, int passed) {
  printf("TEST %s %s\n", name, passed ? "ok" : "FAILED");
  failures += !passed;
}

static const char* const kKernelPointers[] = {
    (const char*)0xffff000040000000, /* the direct map */
    (const char*)0xffff800000000000, /* the image */
    (const char*)0xfffffffffffffff8, /* the sum with any length wraps */
    (const char*)0x0000800000000000, /* the first address that is no user's */
};
enum { kPointers = sizeof(kKernelPointers) / sizeof(kKernelPointers[0]) };

static int refuses(ssize_t answer, int error) { return answer == -1 && errno == error; }

static void test_write(void) {
  check("write", write(STDOUT_FILENO, "written\n", 8) == 8);
  check("write_of_nothing", write(STDOUT_FILENO, NULL, 0) == 0);
  check("write_to_no_file", refuses(write(0, "x", 1), EBADF) && refuses(write(3, "x", 1), EBADF));
  check("write_from_null", refuses(write(STDOUT_FILENO, NULL, 8), EFAULT));
  int refused = 1;
  for (int i = 0; i < kPointers; ++i) {
    refused = refused && refuses(write(STDOUT_FILENO, kKernelPointers[i], 8), EFAULT);
  }
  check("write_from_the_kernels_memory", refused);
}

/* The last page of the heap ends where nothing is: a write across its end is cut there. */
static void test_partial_write(void) {
  char* const end = sbrk(0);
  char* const page_end = (char*)(((uintptr_t)end + 4095) & ~(uintptr_t)4095);
  if (page_end - end < 3 && sbrk(4096) == (void*)-1) {
    check("partial_write", 0);
    return;
  }
  char* const last = (char*)(((uintptr_t)sbrk(0) + 4095) & ~(uintptr_t)4095);
  memcpy(last - 3, "ab\n", 3);
  check("partial_write", write(STDOUT_FILENO, last - 3, 100) == 3);
}

static void test_time(void) {
  struct timespec before;
  struct timespec after;
  const struct timespec pause = {0, 2000000};
  check("clock", clock_gettime(CLOCK_MONOTONIC, &before) == 0);
  check("nanosleep", nanosleep(&pause, NULL) == 0);
  clock_gettime(CLOCK_MONOTONIC, &after);
  const long long slept = (after.tv_sec - before.tv_sec) * 1000000000LL + (after.tv_nsec - before.tv_nsec);
  check("nanosleep_is_long_enough", slept >= pause.tv_nsec);
  check("realtime", clock_gettime(CLOCK_REALTIME, &before) == 0);
  check("cpu_time", clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before) == 0);
  const struct timespec bad = {0, 1000000000};
  check("nanosleep_of_a_bad_time", refuses(nanosleep(&bad, NULL), EINVAL));
  int refused = refuses(nanosleep(NULL, NULL), EFAULT);
  for (int i = 0; i < kPointers; ++i) {
    refused =
        refused && refuses(clock_gettime(CLOCK_MONOTONIC, (struct timespec*)(uintptr_t)kKernelPointers[i]), EFAULT);
  }
  /* Its own constants it may read, but the kernel may not write there for it. */
  refused = refused && refuses(clock_gettime(CLOCK_MONOTONIC, (struct timespec*)(uintptr_t)&kKernelPointers), EFAULT);
  check("time_to_bad_pointers", refused);
}

static void test_memory(void) {
  char* const block = malloc(100000);
  int zero = block != NULL;
  if (block != NULL) {
    memset(block, 0x5a, 100000);
    free(block);
  }
  const char* const fresh = sbrk(8192);
  for (int i = 0; i < 8192 && fresh != (void*)-1; ++i) {
    zero = zero && fresh[i] == 0;
  }
  check("memory", zero && fresh != (void*)-1);
  check("too_much_memory", refuses((ssize_t)sbrk((ptrdiff_t)1 << 40), ENOMEM));
  check("memory_after_a_refusal", sbrk(1) != (void*)-1);
}

static _Thread_local int thread_local_zero;
static _Thread_local int thread_local_value = 77;

int main(int argc, char** argv) {
  check("arguments", argc == 2 && strcmp(argv[0], "selftest") == 0 && strcmp(argv[1], "argument") == 0 && !argv[2]);
  test_write();
  test_partial_write();
  check("getpid", getpid() > 0 && getpid() == getpid());
  check("fork", refuses(fork(), ENOSYS));
  check("unknown_call", sis_syscall(-1, 0, 0, 0) == -SIS_ENOSYS && sis_syscall(63, 0, 0, 0) == -SIS_ENOSYS);
  check("sched_yield", sched_yield() == 0);
  test_time();
  test_memory();
  check("thread_local", thread_local_zero == 0 && thread_local_value == 77);
  volatile double one = 1.0;
  check("floating_point", one / 3.0 > 0.3333 && one / 3.0 < 0.3334);
  printf("%d failures\n", failures);
  return failures;
}
