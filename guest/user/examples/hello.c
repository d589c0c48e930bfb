/* Prints its arguments, its pid and the time. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  printf("hello from pid %d\n", (int)getpid());
  for (int i = 0; i < argc; ++i) {
    printf("argument %d: %s\n", i, argv[i]);
  }
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
    perror("clock_gettime");
    return 1;
  }
  printf("%lld.%09ld s since the machine started\n", (long long)now.tv_sec, now.tv_nsec);
  return 0;
}
