#include "vmm/control/stream.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <thread>

#include "vmm/base/unix_socket.hpp"

namespace vmm::control {
namespace {

using Kind = ClientError::Kind;
using std::chrono::steady_clock;

/// Longest answer to CONNECT, line feed included. "OK 4294967295\n" has 14 bytes; the rest is room for a reason.
constexpr std::size_t kMaxAnswerBytes = 256;

/// Pause before another try when the listener's backlog is full. Nothing can be polled for that.
constexpr std::chrono::milliseconds kBacklogPause{5};

#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // macOS: connect_socket() sets SO_NOSIGPIPE
#endif

std::unexpected<ClientError> error(Kind kind, std::string message) {
  return std::unexpected(ClientError{.kind = kind, .message = std::move(message)});
}

std::unexpected<ClientError> error_errno(Kind kind, const std::string& what, int number) {
  return error(kind, what + ": " + std::strerror(number));
}

bool is_try_again(int number) { return number == EAGAIN || number == EWOULDBLOCK || number == EINTR; }

/// Milliseconds until `deadline`, rounded up so that poll() does not return early over and over.
int remaining_ms(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, 1'000'000'000));
}

ClientResult<short> wait_for(const UniqueFd& fd, short events, Deadline deadline) {
  while (true) {
    pollfd entry{.fd = fd.get(), .events = events, .revents = 0};
    const int wait_ms = remaining_ms(deadline);
    const int count = ::poll(&entry, 1, wait_ms);
    if (count > 0) return entry.revents;
    if (count < 0 && errno != EINTR) return error_errno(Kind::ConnectionLost, "cannot wait for the socket", errno);
    if (count == 0 && steady_clock::now() >= deadline) return error(Kind::Timeout, "no answer in time");
  }
}

std::unexpected<ClientError> connect_error(const std::string& socket_path, int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return error(Kind::NoSuchMachine, "no such machine: there is no socket " + socket_path);
    case ECONNREFUSED:
      return error(Kind::ConnectRefused,
                   "connection refused: nobody listens on " + socket_path + "; the machine's monitor has ended");
    case EACCES:
    case EPERM:
      return error(Kind::NoPermission,
                   "no permission to connect to " + socket_path + "; the machine belongs to another user");
    default:
      return error_errno(Kind::ConnectRefused, "cannot connect to " + socket_path, number);
  }
}

ClientResult<UniqueFd> connect_socket(const std::string& socket_path, Deadline deadline) {
  while (true) {
    auto fd = connect_unix(socket_path, Blocking::No);
    if (fd) {
#ifdef SO_NOSIGPIPE
      const int on = 1;
      ::setsockopt(fd->get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
      return std::move(*fd);
    }
    if (fd.error() != EAGAIN) return connect_error(socket_path, fd.error());
    if (steady_clock::now() + kBacklogPause > deadline) {
      return error(Kind::Timeout, "no answer in time: the machine does not accept connections on " + socket_path);
    }
    std::this_thread::sleep_for(kBacklogPause);
  }
}

/// Reads up to and including a line feed and not a byte more: what follows is the guest's.
/// The line without its line feed; what came before the end of the stream, if no line feed did.
struct Answer {
  std::string text;
  bool complete = false;
};
ClientResult<Answer> read_answer(const UniqueFd& fd, Deadline deadline) {
  Answer answer;
  while (true) {
    if (auto ready = wait_for(fd, POLLIN, deadline); !ready) return std::unexpected(std::move(ready.error()));
    if (steady_clock::now() >= deadline) return error(Kind::Timeout, "no answer in time");
    std::array<char, kMaxAnswerBytes> peeked;
    const ssize_t seen = ::recv(fd.get(), peeked.data(), kMaxAnswerBytes - answer.text.size(), MSG_PEEK);
    if (seen < 0 && is_try_again(errno)) continue;
    if (seen <= 0) return answer;
    const std::string_view bytes(peeked.data(), static_cast<std::size_t>(seen));
    const std::size_t end = bytes.find('\n');
    const std::size_t taken = end == std::string_view::npos ? bytes.size() : end + 1;
    if (::recv(fd.get(), peeked.data(), taken, 0) != static_cast<ssize_t>(taken)) return answer;
    answer.text.append(bytes.substr(0, std::min(taken, end)));
    answer.complete = end != std::string_view::npos;
    if (answer.complete) return answer;
    if (answer.text.size() >= kMaxAnswerBytes) {
      return error(Kind::Protocol, "the answer to CONNECT has more than " + std::to_string(kMaxAnswerBytes) + " bytes");
    }
  }
}

bool is_ok_line(std::string_view line) {
  if (!line.starts_with("OK ")) return false;
  line.remove_prefix(3);
  std::uint32_t port = 0;
  const auto parsed = std::from_chars(line.data(), line.data() + line.size(), port);
  return parsed.ec == std::errc() && parsed.ptr == line.data() + line.size();
}

/// For messages: at most 64 bytes, none that a terminal would act on.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, 64)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > 64 ? "...'" : "'");
}

}  // namespace

ClientResult<UniqueFd> connect_vsock(const std::string& socket_path, std::uint32_t port, Deadline deadline) {
  auto fd = connect_socket(socket_path, deadline);
  if (!fd) return fd;
  const std::string line = "CONNECT " + std::to_string(port) + "\n";
  std::span<const std::uint8_t> left(reinterpret_cast<const std::uint8_t*>(line.data()),
                                     line.size());  // bytes are bytes
  while (!left.empty()) {
    const auto written = write_some(*fd, left, deadline);
    // The monitor may have said why and closed before it read the line: then its answer is there to be read.
    if (!written && written.error().kind == Kind::Timeout) return std::unexpected(written.error());
    if (!written) break;
    left = left.subspan(*written);
  }
  const auto answer = read_answer(*fd, deadline);
  if (!answer) return std::unexpected(answer.error());
  if (answer->complete && is_ok_line(answer->text)) return fd;
  if (answer->complete && answer->text.starts_with("ERR ")) {
    return error(Kind::NoSuchPort, "the machine refused a connection to port " + std::to_string(port) +
                                       " of its guest: " + in_quotes(std::string_view(answer->text).substr(4)));
  }
  if (!answer->complete && answer->text.empty()) {
    return error(Kind::NoSuchPort, "the machine closed the connection: nothing in its guest listens on port " +
                                       std::to_string(port) + ", or it is going down");
  }
  return error(Kind::Protocol, "the answer to CONNECT is " + in_quotes(answer->text) +
                                   ", expected 'OK <port>' or 'ERR <reason>'; is this the socket of a machine?");
}

ClientResult<std::size_t> read_some(const UniqueFd& fd, std::span<std::uint8_t> buffer, Deadline deadline) {
  while (true) {
    const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (!is_try_again(errno)) return error_errno(Kind::ConnectionLost, "the connection was lost", errno);
    if (auto ready = wait_for(fd, POLLIN, deadline); !ready) return std::unexpected(std::move(ready.error()));
  }
}

ClientResult<std::size_t> write_some(const UniqueFd& fd, std::span<const std::uint8_t> bytes, Deadline deadline) {
  while (true) {
    const ssize_t count = ::send(fd.get(), bytes.data(), bytes.size(), kNoSignal);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (!is_try_again(errno)) return error_errno(Kind::ConnectionLost, "the connection was lost", errno);
    if (auto ready = wait_for(fd, POLLOUT, deadline); !ready) return std::unexpected(std::move(ready.error()));
  }
}

ClientResult<Ready> wait_ready(const UniqueFd& fd, bool want_write, Deadline deadline) {
  const short events = want_write ? POLLIN | POLLOUT : POLLIN;
  const auto found = wait_for(fd, events, deadline);
  if (!found) return std::unexpected(found.error());
  // POLLHUP and POLLERR come unasked; a read then tells the end of the stream or the error.
  return Ready{.readable = (*found & ~POLLOUT) != 0, .writable = (*found & POLLOUT) != 0};
}

}  // namespace vmm::control
