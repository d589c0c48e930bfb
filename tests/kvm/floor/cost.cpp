// Runs a command a number of times and prints what each run cost, one line a run:
//
//   EXIT_CODE BEGIN_NS WALL_NS PEAK_RSS_KIB
//
// usage: cost RUNS OUTPUT COMMAND...       the command's standard output and error go to the file OUTPUT
//
// BEGIN_NS, of the monotonic clock, is before the fork; WALL_NS from there until the process is gone. The peak counts
// from the fork on: what this program, which is linked statically and small for that reason, occupies is its lower
// bound.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

long long now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

bool run(int output, char** command) {
  const long long begin = now_ns();
  const pid_t child = vfork();
  if (child < 0) return false;
  if (child == 0) {
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(command[0], command);
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child) return false;
  const long long wall = now_ns() - begin;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::printf("%d %lld %lld %ld\n", code, begin, wall, usage.ru_maxrss);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    std::fputs("usage: cost RUNS OUTPUT COMMAND...\n", stderr);
    return 2;
  }
  const int output = open(arguments[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) {
    std::perror(arguments[2]);
    return 1;
  }
  for (long left = std::strtol(arguments[1], nullptr, 10); left > 0; --left) {
    if (!run(output, arguments + 3)) {
      std::perror("cost");
      return 1;
    }
  }
  return 0;
}
