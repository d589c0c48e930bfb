#include "vmm/machine/monitor.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "unix_server.hpp"
#include "vmm/base/unix_socket.hpp"

namespace vmm::machine {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxPending = std::size_t{64} * 1024;

std::string as_line(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

}  // namespace

Result<std::unique_ptr<MonitorServer>> MonitorServer::create(EventLoop& loop, const std::filesystem::path& socket_path,
                                                             MonitorHandlers handlers) {
  std::unique_ptr<MonitorServer> monitor(new MonitorServer(loop, std::move(handlers)));
  auto server = UnixServer::create(loop, socket_path,
                                   [raw = monitor.get()](UniqueFd socket) { raw->on_client(std::move(socket)); });
  if (!server) return std::unexpected(server.error());
  monitor->server_ = std::move(*server);
  return monitor;
}

MonitorServer::MonitorServer(EventLoop& loop, MonitorHandlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}

MonitorServer::~MonitorServer() {
  *alive_ = false;
  for (auto& client : clients_) client.stream->flush();
}

void MonitorServer::on_client(UniqueFd socket) {
  if (clients_.size() >= kMaxClients) return;  // closed at once
  const auto client = clients_.emplace(clients_.end());
  auto stream = SocketStream::create(loop_, std::move(socket), kMaxPending,
                                     {.on_bytes = [this, client](std::string_view bytes) { on_bytes(client, bytes); },
                                      .on_closed = [this, client] { drop_later(client); },
                                      .on_drained = {}});
  if (!stream) {
    clients_.erase(client);
    return;
  }
  client->stream = std::move(*stream);
}

void MonitorServer::on_bytes(ClientPlace client, std::string_view bytes) {
  for (const char c : bytes) {
    if (client->dropped) return;
    if (c != '\n') {
      client->line.push_back(c);
      if (client->line.size() <= kMaxLineBytes) continue;
    }
    const bool too_long = client->line.size() > kMaxLineBytes;
    const std::string line = std::exchange(client->line, {});
    const auto reply =
        too_long ? fail("the line has more than " + std::to_string(kMaxLineBytes) + " bytes") : answer(*client, line);
    const json text = reply ? *reply : json{{"status", "error"}, {"message", reply.error().message}};
    const std::string out = as_line(text);
    if (client->stream->send(out) < out.size() || !reply) drop_later(client);
  }
}

Result<json> MonitorServer::answer(Client& client, const std::string& line) {
  const json request = json::parse(line, nullptr, false);
  const auto op = request.is_object() ? request.find("op") : request.end();
  if (!request.is_object() || op == request.end() || !op->is_string()) return fail("not a JSON object with an op");
  if (*op == "status") return handlers_.status();
  if (*op != "stop") return fail("unknown op, allowed: status, stop");
  std::optional<std::chrono::milliseconds> timeout;
  if (const auto given = request.find("timeout_ms"); given != request.end()) {
    if (!given->is_number_unsigned() ||
        given->get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxStopTimeout.count())) {
      return fail("timeout_ms: allowed: 0 to " + std::to_string(kMaxStopTimeout.count()));
    }
    timeout = std::chrono::milliseconds(given->get<std::int64_t>());
  }
  client.waits_for_stop = true;
  handlers_.stop(timeout);
  return json{{"status", "stopping"}};
}

void MonitorServer::drop_later(ClientPlace client) {
  if (std::exchange(client->dropped, true)) return;
  loop_.post([this, client, alive = alive_] {
    if (*alive) clients_.erase(client);
  });
}

void MonitorServer::tell_stopped(int exit_code, bool killed) {
  for (auto& client : clients_) {
    if (!client.waits_for_stop || client.dropped) continue;
    client.stream->send(as_line({{"status", "stopped"}, {"exit_code", exit_code}, {"killed", killed}}));
  }
}

Result<MonitorClient> MonitorClient::connect(const std::filesystem::path& socket_path) {
  auto socket = connect_unix(socket_path);
  if (!socket) return fail_errno("cannot reach the monitor at " + socket_path.string(), socket.error());
  if (auto done = set_nonblocking(*socket); !done) return std::unexpected(done.error());
  return MonitorClient(std::move(*socket));
}

Result<json> MonitorClient::ask(const json& request, std::chrono::milliseconds timeout) {
  std::string line = as_line(request);
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
    if (received_.size() > kMaxPending) return fail("the monitor's answer is too long");
  }
}

}  // namespace vmm::machine
