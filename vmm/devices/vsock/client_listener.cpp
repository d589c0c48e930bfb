#include "vmm/devices/vsock/client_listener.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "vmm/base/unix_socket.hpp"

namespace vmm::vsock {
namespace {

constexpr unsigned kAcceptsPerTurn = 64;
/// Pause after the process ran out of descriptors; polling a listener that cannot be accepted from would spin.
constexpr std::chrono::milliseconds kAcceptPause{100};

UniqueFd accept_nonblocking(int listener) {
#ifdef SOCK_CLOEXEC
  return UniqueFd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
#else
  UniqueFd fd(::accept(listener, nullptr, nullptr));
  if (fd.valid()) {
    ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    if (!set_nonblocking(fd)) fd.reset();
  }
  return fd;
#endif
}

}  // namespace

ClientId process_of(int fd) {
#ifdef SO_PEERCRED
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0) return peer.pid;
#elif defined(LOCAL_PEERPID)
  pid_t pid = 0;
  socklen_t size = sizeof pid;
  if (::getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &size) == 0 && pid > 0) return pid;
#endif
  return -1;
}

ClientListener::ClientListener(EventLoop& loop, UniqueFd listener, Counters& counters,
                               std::function<void(UniqueFd)> on_client)
    : loop_(loop), listener_(std::move(listener)), counters_(counters), on_client_(std::move(on_client)) {
  loop_.add(listener_.get(), Interest::Read, [this](Events) { accept_some(); });
}

ClientListener::~ClientListener() {
  loop_.cancel_timer(resume_timer_);
  loop_.remove(listener_.get());
}

void ClientListener::accept_some() {
  // Not until none is left: a flood of clients must leave time for those that are connected.
  for (unsigned count = 0; count < kAcceptsPerTurn; ++count) {
    UniqueFd fd = accept_nonblocking(listener_.get());
    if (fd.valid()) {
      ++counters_.clients_accepted;
      on_client_(std::move(fd));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) pause();
    return;
  }
}

void ClientListener::pause() {
  loop_.modify(listener_.get(), Interest::None);
  resume_timer_ = loop_.add_timer(kAcceptPause, [this] { loop_.modify(listener_.get(), Interest::Read); });
}

}  // namespace vmm::vsock
