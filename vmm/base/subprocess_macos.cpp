// Has not been run on a Mac.
#include <fcntl.h>
#include <sys/event.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "subprocess_platform.hpp"

namespace vmm::platform {

bool die_with_parent(pid_t parent) { return ::getppid() == parent; }

void close_from(int first) {
  const int end = ::getdtablesize();
  for (int fd = first; fd < end; ++fd) ::close(fd);
}

Result<UniqueFd> watch_exit(pid_t child) {
  // A kqueue can itself be polled.
  UniqueFd queue(::kqueue());
  if (!queue.valid()) return fail_errno("cannot watch a child process (kqueue)");
  ::fcntl(queue.get(), F_SETFD, FD_CLOEXEC);
  struct kevent change{};
  EV_SET(&change, child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, nullptr);
  if (::kevent(queue.get(), &change, 1, nullptr, 0, nullptr) != 0) {
    return fail_errno("cannot watch a child process (kevent)");
  }
  return queue;
}

Result<UniqueFd> tie_to_us(pid_t child) {
  // A small process holds the read end of a pipe whose write end only we have. Its end of file is our death, or our
  // having waited for the child, before which the child's number cannot be used again.
  int ends[2];
  if (::pipe(ends) != 0) return fail_errno("cannot make a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  ::fcntl(read_end.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(write_end.get(), F_SETFD, FD_CLOEXEC);
  const pid_t middle = ::fork();
  if (middle < 0) return fail_errno("cannot start a process");
  if (middle == 0) {
    // Twice, so that init reaps the second one.
    if (::fork() != 0) ::_exit(0);
    ::setsid();
    ::dup2(read_end.get(), 0);
    close_from(1);
    char byte;
    while (::read(0, &byte, 1) < 0 && errno == EINTR) {
    }
    ::kill(child, SIGKILL);
    ::_exit(0);
  }
  while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  return write_end;
}

}  // namespace vmm::platform
