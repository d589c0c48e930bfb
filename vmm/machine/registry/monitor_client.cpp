#include "vmm/machine/monitor_client.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "vmm/base/unix_socket.hpp"

namespace vmm::machine {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxAnswerBytes = std::size_t{64} * 1024;

}  // namespace

Result<MonitorClient> MonitorClient::connect(const std::filesystem::path& socket_path) {
  auto socket = connect_unix(socket_path);
  if (!socket) return fail_errno("cannot reach the monitor at " + socket_path.string(), socket.error());
  if (auto done = set_nonblocking(*socket); !done) return std::unexpected(done.error());
  return MonitorClient(std::move(*socket));
}

Result<json> MonitorClient::ask(const json& request, std::chrono::milliseconds timeout) {
  const std::string line = request.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  // A request is far smaller than a socket's buffer: if it does not fit, nobody reads.
  if (::send(socket_.get(), line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
    return fail_errno("cannot ask the monitor");
  }
  return next(timeout);
}

Result<json> MonitorClient::next(std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout;
  while (true) {
    if (const auto end = received_.find('\n'); end != std::string::npos) {
      json value = json::parse(received_.substr(0, end), nullptr, false);
      received_.erase(0, end + 1);
      if (!value.is_object()) return fail("the monitor's answer is no JSON object");
      return value;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wanted{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const int ready = left <= 0 ? 0 : ::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, 1 << 30)));
    if (ready == 0) return fail("the monitor did not answer in time", abi::ExitCode::TimedOut);
    std::array<char, 4096> chunk;
    const ssize_t got = ready < 0 ? -1 : ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return fail("the monitor closed the connection before it answered");
    received_.append(chunk.data(), static_cast<std::size_t>(got));
    if (received_.size() > kMaxAnswerBytes) return fail("the monitor's answer is too long");
  }
}

}  // namespace vmm::machine
