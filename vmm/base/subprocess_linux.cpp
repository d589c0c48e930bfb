#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "subprocess_platform.hpp"

namespace vmm::platform {

bool die_with_parent(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return false;
  // The parent may have died before the line above: then nobody is left to send the signal.
  return ::getppid() == parent;
}

void close_from(int first) {
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, 0U) == 0) return;
  // Linux before 5.9.
  struct rlimit limit{};
  const int end = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<int>(limit.rlim_cur) : 65536;
  for (int fd = first; fd < end; ++fd) ::close(fd);
}

Result<UniqueFd> watch_exit(pid_t child) {
  // The child is ours and not yet reaped, so its number cannot mean another process. pidfd_open sets close-on-exec.
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0U)));
  if (!fd.valid()) return fail_errno("cannot watch a child process (pidfd_open, Linux 5.3 or later)");
  return fd;
}

Result<UniqueFd> tie_to_us(pid_t) { return UniqueFd(); }

}  // namespace vmm::platform
