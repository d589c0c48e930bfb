#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "vmm/devices/vsock/host_socket.hpp"

namespace vmm::vsock {
namespace {

#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;  // macOS has SO_NOSIGPIPE instead
#endif

class SocketStream final : public Stream {
 public:
  /// What the client is told of its connection.
  struct Words {
    bool says_opened = true;
    std::string refusal = "ERR ";
  };

  SocketStream(EventLoop& loop, UniqueFd fd, Words words) : loop_(loop), fd_(std::move(fd)), words_(std::move(words)) {
#ifdef SO_NOSIGPIPE
    const int on = 1;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  }
  ~SocketStream() override { loop_.remove(fd_.get()); }

  Transfer read(std::span<const iovec> to) override {
    msghdr message = over(to);
    ssize_t got;
    do {
      got = ::recvmsg(fd_.get(), &message, 0);
    } while (got < 0 && errno == EINTR);
    if (got == 0) return {Outcome::Closed};
    return result(got);
  }

  Transfer write(std::span<const iovec> from) override {
    const msghdr message = over(from);
    ssize_t put;
    do {
      put = ::sendmsg(fd_.get(), &message, kSendFlags);
    } while (put < 0 && errno == EINTR);
    if (put < 0 && errno == EPIPE) return {Outcome::Closed};
    return result(put);
  }

  void shutdown_write() override { ::shutdown(fd_.get(), SHUT_WR); }
  void shutdown_read() override { ::shutdown(fd_.get(), SHUT_RD); }

  void attach(std::function<void(Events)> callback) override {
    loop_.add(fd_.get(), Interest::None, std::move(callback));
  }
  void watch(Interest interest) override { loop_.modify(fd_.get(), interest); }

  // The socket is new, so its buffer has room for a line. If the client has gone, an event tells.
  void opened(std::uint32_t host_port) override {
    if (words_.says_opened) say("OK " + std::to_string(host_port) + "\n");
  }
  void refused(std::string_view reason) override { say(words_.refusal + std::string(reason) + "\n"); }

 private:
  static msghdr over(std::span<const iovec> ranges) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(ranges.data());  // the interface of sendmsg is not const-correct
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(ranges.size());  // its type differs by system
    return message;
  }
  static Transfer result(ssize_t count) {
    if (count > 0) return {Outcome::Done, static_cast<std::size_t>(count)};
    if (count == 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return {Outcome::WouldBlock};
    return {Outcome::Failed};
  }
  void say(const std::string& line) { ::send(fd_.get(), line.data(), line.size(), kSendFlags); }

  EventLoop& loop_;
  UniqueFd fd_;
  Words words_;
};

}  // namespace

std::unique_ptr<Stream> make_socket_stream(EventLoop& loop, UniqueFd fd) {
  return std::make_unique<SocketStream>(loop, std::move(fd), SocketStream::Words{});
}

std::unique_ptr<Stream> make_direct_stream(EventLoop& loop, UniqueFd fd, std::string refusal) {
  return std::make_unique<SocketStream>(loop, std::move(fd),
                                        SocketStream::Words{.says_opened = false, .refusal = std::move(refusal)});
}

}  // namespace vmm::vsock
