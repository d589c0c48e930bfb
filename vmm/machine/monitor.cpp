#include "vmm/machine/monitor.hpp"

#include "unix_server.hpp"

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
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (client->dropped) return;
    if (client->waits_for_answer) {
      // Answers come in the order of the requests.
      client->unread = bytes.substr(i);
      return client->stream->set_reading(false);
    }
    const char c = bytes[i];
    if (c != '\n') {
      client->line.push_back(c);
      if (client->line.size() <= kMaxLineBytes) continue;
    }
    const bool too_long = client->line.size() > kMaxLineBytes;
    const std::string line = std::exchange(client->line, {});
    const auto reply =
        too_long ? fail("the line has more than " + std::to_string(kMaxLineBytes) + " bytes") : answer(client, line);
    if (reply) send(client, *reply);
  }
}

void MonitorServer::send(ClientPlace client, const Answer& answer) {
  const json text = answer ? *answer : json{{"status", "error"}, {"message", answer.error().message}};
  const std::string out = as_line(text);
  if (client->stream->send(out) < out.size() || !answer) drop_later(client);
}

std::optional<MonitorServer::Answer> MonitorServer::answer(ClientPlace client, const std::string& line) {
  const json request = json::parse(line, nullptr, false);
  const auto op = request.is_object() ? request.find("op") : request.end();
  if (!request.is_object() || op == request.end() || !op->is_string()) return fail("not a JSON object with an op");
  if (*op == "status") return handlers_.status();
  if (*op == "stop") return answer_stop(*client, request);
  if (*op == "snapshot") return answer_snapshot(client, request);
  return fail("unknown op, allowed: status, stop, snapshot");
}

MonitorServer::Answer MonitorServer::answer_stop(Client& client, const json& request) {
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

std::optional<MonitorServer::Answer> MonitorServer::answer_snapshot(ClientPlace client, const json& request) {
  const auto given = request.find("folder");
  if (given == request.end() || !given->is_string()) return fail("folder: the name of a folder is expected");
  const std::filesystem::path folder = given->get<std::string>();
  // The monitor's own working directory is nothing that its client knows.
  if (!folder.is_absolute() || folder.native().find('\0') != std::string::npos) {
    return fail("folder: an absolute path is expected");
  }
  client->waits_for_answer = true;
  handlers_.snapshot(folder, [this, client, alive = alive_](const Result<>& saved) {
    if (!*alive) return;
    client->waits_for_answer = false;
    if (client->dropped) return erase_later(client);
    send(client, saved ? Answer(json{{"status", "saved"}}) : std::unexpected(saved.error()));
    client->stream->set_reading(true);
    on_bytes(client, std::exchange(client->unread, {}));
  });
  return std::nullopt;
}

void MonitorServer::drop_later(ClientPlace client) {
  if (std::exchange(client->dropped, true)) return;
  // Somebody who waits for the answer has its place.
  if (!client->waits_for_answer) erase_later(client);
}

void MonitorServer::erase_later(ClientPlace client) {
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

}  // namespace vmm::machine
