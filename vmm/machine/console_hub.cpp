#include "vmm/machine/console_hub.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "unix_server.hpp"

namespace vmm::machine {

Result<std::unique_ptr<ConsoleHub>> ConsoleHub::create(EventLoop& loop, const std::filesystem::path& socket_path,
                                                       const std::filesystem::path& log_path, Typing typing) {
  UniqueFd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log.valid()) return fail_errno("cannot create " + log_path.string());
  std::unique_ptr<ConsoleHub> hub(new ConsoleHub(loop, std::move(log), std::move(typing)));
  auto server =
      UnixServer::create(loop, socket_path, [raw = hub.get()](UniqueFd fd) { raw->on_client(std::move(fd)); });
  if (!server) return std::unexpected(server.error());
  hub->server_ = std::move(*server);
  return hub;
}

ConsoleHub::ConsoleHub(EventLoop& loop, UniqueFd log, Typing typing)
    : loop_(loop), log_(std::move(log)), typing_(std::move(typing)) {}

ConsoleHub::~ConsoleHub() {
  *alive_ = false;
  for (auto& client : clients_) client.stream->flush();
}

void ConsoleHub::on_client(UniqueFd socket) {
  if (clients_.size() >= kMaxClients) return;  // closed at once
  const auto client = clients_.emplace(clients_.end());
  auto stream = SocketStream::create(loop_, std::move(socket), kMaxClientPending,
                                     {.on_bytes = [this](std::string_view bytes) { type(bytes); },
                                      .on_closed = [this, client] { drop_later(client); },
                                      .on_drained = {}});
  if (!stream) {
    clients_.erase(client);
    return;
  }
  client->stream = std::move(*stream);
  client->stream->set_reading(typed_.empty());
  client->stream->send(replay_);
}

void ConsoleHub::drop_later(std::list<Client>::iterator client) {
  // Its stream may be what calls us: it is destroyed from the loop.
  if (std::exchange(client->dropped, true)) return;
  loop_.post([this, client, alive = alive_] {
    if (*alive) clients_.erase(client);
  });
}

void ConsoleHub::on_output(std::string_view bytes) {
  bytes_ += bytes.size();
  write_log(bytes);
  for (auto client = clients_.begin(); client != clients_.end(); ++client) {
    if (client->dropped) continue;
    if (client->stream->send(bytes) < bytes.size()) drop_later(client);
  }
  replay_ += bytes;
  if (replay_.size() > kReplayBytes) replay_.erase(0, replay_.size() - kReplayBytes);
}

void ConsoleHub::write_log(std::string_view bytes) {
  const std::uint64_t logged = bytes_ - bytes.size() - bytes_not_logged_;
  const std::uint64_t room = logged < kMaxLogBytes && log_problem_.empty() ? kMaxLogBytes - logged : 0;
  auto rest = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes.size())));
  bytes_not_logged_ += bytes.size() - rest.size();
  while (!rest.empty()) {
    const ssize_t count = ::write(log_.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      log_problem_ = std::string("cannot write console.log: ") + std::strerror(errno);
      bytes_not_logged_ += rest.size();
      return;
    }
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

bool ConsoleHub::type(std::string_view bytes) {
  if (!typed_.empty()) {
    // Reading was switched off, but bytes that a client's stream had read already may still come: they are kept, and
    // bounded by one read of each client.
    typed_ += bytes;
    return false;
  }
  const std::size_t taken = typing_(bytes);
  typed_ = bytes.substr(taken);
  if (!typed_.empty()) set_clients_reading(false);
  return typed_.empty();
}

void ConsoleHub::on_input_ready() {
  const std::size_t taken = typing_(typed_);
  typed_.erase(0, taken);
  if (!typed_.empty()) return;
  set_clients_reading(true);
  if (on_room_) on_room_();
}

void ConsoleHub::set_clients_reading(bool reading) {
  for (auto& client : clients_) {
    if (!client.dropped) client.stream->set_reading(reading);
  }
}

}  // namespace vmm::machine
