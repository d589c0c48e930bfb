// How other processes talk to a monitor: JSON objects, one a line, over monitor.sock in the run directory.
//
//   -> {"op": "status"}                     <- {"status": "ok", "name": ..., "state": ..., ...}
//   -> {"op": "stop"[, "timeout_ms": N]}    <- {"status": "stopping"}
//                            and at the end <- {"status": "stopped", "exit_code": N, "killed": false}
//   -> {"op": "snapshot", "folder": "/..."} <- {"status": "saved"}
//   anything else                           <- {"status": "error", "message": ...}, and the end of the connection
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/socket_stream.hpp"

namespace vmm::machine {

class UnixServer;

/// What a monitor does on request.
struct MonitorHandlers {
  std::function<nlohmann::json()> status;
  /// Begins to stop the machine; the time until it is killed, if the client gave one.
  std::function<void(std::optional<std::chrono::milliseconds>)> stop;
  /// Writes a snapshot of the machine; calls `done`, now or later, when it is written or not to be had.
  std::function<void(const std::filesystem::path& folder, std::function<void(Result<>)> done)> snapshot;
};

/// Serves monitor.sock on the supervisor's loop.
class MonitorServer {
 public:
  static constexpr std::size_t kMaxClients = 32;
  static constexpr std::size_t kMaxLineBytes = 4096;
  static constexpr std::chrono::milliseconds kMaxStopTimeout = std::chrono::hours(24);

  static Result<std::unique_ptr<MonitorServer>> create(EventLoop& loop, const std::filesystem::path& socket_path,
                                                       MonitorHandlers handlers);
  ~MonitorServer();
  MonitorServer(const MonitorServer&) = delete;
  MonitorServer& operator=(const MonitorServer&) = delete;

  /// Tells the clients that asked for the stop.
  void tell_stopped(int exit_code, bool killed);

 private:
  struct Client {
    std::unique_ptr<SocketStream> stream;
    std::string line;
    std::string unread;  ///< what came while it waited for an answer
    bool waits_for_answer = false;
    bool waits_for_stop = false;
    bool dropped = false;
  };
  using ClientPlace = std::list<Client>::iterator;

  MonitorServer(EventLoop& loop, MonitorHandlers handlers);
  void on_client(UniqueFd socket);
  /// An error ends the connection after it.
  using Answer = Result<nlohmann::json>;

  void on_bytes(ClientPlace client, std::string_view bytes);
  /// The answer to one line; none if it comes later, by send().
  std::optional<Answer> answer(ClientPlace client, const std::string& line);
  Answer answer_stop(Client& client, const nlohmann::json& request);
  std::optional<Answer> answer_snapshot(ClientPlace client, const nlohmann::json& request);
  void send(ClientPlace client, const Answer& answer);
  void drop_later(ClientPlace client);
  void erase_later(ClientPlace client);

  EventLoop& loop_;
  MonitorHandlers handlers_;
  std::unique_ptr<UnixServer> server_;
  std::list<Client> clients_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace vmm::machine
