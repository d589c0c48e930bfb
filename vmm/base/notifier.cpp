#include "vmm/base/notifier.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>

#ifdef __linux__
#include <sys/eventfd.h>
#endif

namespace vmm {
namespace {

Result<> set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail_errno("cannot make a notification descriptor non-blocking");
  }
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return fail_errno("cannot make a notification descriptor close-on-exec");
  return {};
}

}  // namespace

Result<Notifier> Notifier::create() {
  Notifier notifier;
#ifdef __linux__
  notifier.read_end_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!notifier.read_end_.valid()) return fail_errno("cannot make an eventfd");
#else
  int ends[2];
  if (::pipe(ends) != 0) return fail_errno("cannot make a pipe for notifications");
  notifier.read_end_.reset(ends[0]);
  notifier.write_end_.reset(ends[1]);
  if (auto done = set_nonblocking(ends[0]); !done) return std::unexpected(done.error());
  if (auto done = set_nonblocking(ends[1]); !done) return std::unexpected(done.error());
#endif
  return notifier;
}

Result<Notifier> Notifier::adopt(UniqueFd fd) {
  if (auto done = set_nonblocking(fd.get()); !done) return std::unexpected(done.error());
  Notifier notifier;
  notifier.read_end_ = std::move(fd);
  return notifier;
}

void Notifier::signal() const {
  // Eight bytes: what an eventfd demands, and what QEMU writes to its pipes too.
  const std::uint64_t one = 1;
  const int fd = write_end_.valid() ? write_end_.get() : read_end_.get();
  while (::write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

bool Notifier::drain() const {
  // An eventfd gives its whole count in one read; a pipe may hold more than one buffer of signals.
  bool signalled = false;
  for (;;) {
    std::uint64_t values[64];
    const ssize_t got = ::read(read_end_.get(), values, sizeof values);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return signalled;
    signalled = true;
    if (static_cast<std::size_t>(got) < sizeof values) return signalled;
  }
}

}  // namespace vmm
