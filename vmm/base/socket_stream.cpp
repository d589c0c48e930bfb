#include "vmm/base/socket_stream.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "vmm/base/unix_socket.hpp"

namespace vmm {
namespace {

#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;  // macOS: SIGPIPE is ignored by the whole program
#endif

}  // namespace

Result<std::unique_ptr<SocketStream>> SocketStream::create(EventLoop& loop, UniqueFd socket, std::size_t max_pending,
                                                           Callbacks callbacks) {
  if (auto done = set_nonblocking(socket); !done) return std::unexpected(done.error());
  return std::unique_ptr<SocketStream>(new SocketStream(loop, std::move(socket), max_pending, std::move(callbacks)));
}

SocketStream::SocketStream(EventLoop& loop, UniqueFd socket, std::size_t max_pending, Callbacks callbacks)
    : loop_(loop), socket_(std::move(socket)), max_pending_(max_pending), callbacks_(std::move(callbacks)) {
  loop_.add(socket_.get(), Interest::Read, [this](Events events) { on_events(events); });
}

SocketStream::~SocketStream() {
  *alive_ = false;
  if (socket_.valid()) loop_.remove(socket_.get());
}

std::size_t SocketStream::send(std::string_view bytes) {
  if (!socket_.valid()) return bytes.size();
  std::size_t taken = 0;
  while (socket_.valid() && taken < bytes.size() && pending_.size() < max_pending_) {
    const std::size_t room = max_pending_ - pending_.size();
    const auto piece = bytes.substr(taken, room);
    pending_ += piece;
    taken += piece.size();
    flush();
  }
  // Only a buffer with something in it is drained later: what is refused is refused with the buffer full.
  if (taken < bytes.size()) refused_some_ = true;
  return taken;
}

void SocketStream::flush() {
  std::size_t written = 0;
  while (socket_.valid() && written < pending_.size()) {
    const ssize_t count = ::send(socket_.get(), pending_.data() + written, pending_.size() - written, kSendFlags);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      // Broken. Reading sees the same and tells it, from the loop: not from within the caller of send().
      written = pending_.size();
      break;
    }
    if (count < 0) break;
    written += static_cast<std::size_t>(count);
  }
  pending_.erase(0, written);
  update_interest();
}

void SocketStream::drain() {
  for (flush(); socket_.valid() && !pending_.empty(); flush()) {
    pollfd wanted{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
    // Whatever it returns, the next attempt to write tells.
    static_cast<void>(::poll(&wanted, 1, -1));
  }
}

void SocketStream::set_reading(bool reading) {
  reading_ = reading;
  update_interest();
}

void SocketStream::rest_reading(std::chrono::milliseconds pause) {
  set_reading(false);
  loop_.add_timer(pause, [this, alive = alive_] {
    if (*alive) set_reading(true);
  });
}

void SocketStream::update_interest() {
  if (!socket_.valid()) return;
  const auto read = static_cast<unsigned>(reading_ ? Interest::Read : Interest::None);
  const auto write = static_cast<unsigned>(pending_.empty() ? Interest::None : Interest::Write);
  loop_.modify(socket_.get(), static_cast<Interest>(read | write));
}

void SocketStream::on_events(Events events) {
  const auto alive = alive_;
  if (events.writable) {
    flush();
    if (pending_.empty() && std::exchange(refused_some_, false) && callbacks_.on_drained) callbacks_.on_drained();
    if (!*alive) return;
  }
  if (reading_ && (events.readable || events.hangup || events.error)) {
    read_once();
  } else if (!reading_ && (events.hangup || events.error)) {
    // Not wanted now, but the loop would report it again at once: look only when reading goes on.
    if (events.error) close();
  }
}

bool SocketStream::read_once() {
  std::array<char, 16384> chunk;
  const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
  if (got > 0) {
    const auto alive = alive_;
    callbacks_.on_bytes(std::string_view(chunk.data(), static_cast<std::size_t>(got)));
    return *alive && socket_.valid();
  }
  if (got < 0 && errno == EINTR) return true;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  close();
  return false;
}

void SocketStream::read_rest() {
  while (socket_.valid() && read_once()) {
  }
}

void SocketStream::close() {
  loop_.remove(socket_.get());
  socket_.reset();
  pending_.clear();
  if (callbacks_.on_closed) callbacks_.on_closed();
}

}  // namespace vmm
