#include "deadline_stream.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sis_web {

bool DeadlineStream::wait_for(short events) const {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    if (left <= 0) return false;
    pollfd wanted{.fd = socket_, .events = events, .revents = 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

bool DeadlineStream::is_readable() const { return begin_ < end_ || wait_for(POLLIN); }

bool DeadlineStream::is_writable() const { return wait_for(POLLOUT); }

ssize_t DeadlineStream::fill() {
  const std::size_t wanted = std::min(buffer_.size(), left_);
  if (wanted == 0 || !wait_for(POLLIN)) return -1;
  const ssize_t got = ::recv(socket_, buffer_.data(), wanted, 0);
  if (got <= 0) return got;
  begin_ = 0;
  end_ = static_cast<std::size_t>(got);
  left_ -= end_;
  return got;
}

ssize_t DeadlineStream::read(char* bytes, std::size_t size) {
  if (begin_ == end_) {
    if (const ssize_t got = fill(); got <= 0) return got;
  }
  const std::size_t taken = std::min(size, end_ - begin_);
  std::memcpy(bytes, buffer_.data() + begin_, taken);
  begin_ += taken;
  return static_cast<ssize_t>(taken);
}

ssize_t DeadlineStream::write(const char* bytes, std::size_t size) {
  if (!wait_for(POLLOUT)) return -1;
  return ::send(socket_, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Nothing here asks for addresses.
void DeadlineStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

void DeadlineStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace sis_web
