// Serves the page of a machine over HTTP: only reading, to whoever can connect.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "tools/web/machine_view.hpp"
#include "vmm/base/unique_fd.hpp"

namespace sis_web {

/// What one client can take of us.
struct ServerLimits {
  std::size_t connections = 16;            ///< served at a time; others wait in the system's queue
  std::size_t request_bytes = 16384;       ///< of a request with its headers; more ends the connection
  std::chrono::milliseconds time{10'000};  ///< of a connection, from the first byte to the last
};

/// Serves in threads of its own from start to its end. One request a connection.
///
///   GET /            the page        GET /metrics   for Prometheus
///   GET /data.json   what it draws   GET /log       the console's log, a JSON object a line; ?from=OFFSET
class Server {
 public:
  /// @param listener a socket that listens, blocking
  /// @param view outlives the server
  Server(vmm::UniqueFd listener, const MachineView& view, std::filesystem::path console_log,
         const ServerLimits& limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  class Http;
  void serve();

  vmm::UniqueFd listener_;
  std::unique_ptr<Http> http_;
  std::thread thread_;
};

}  // namespace sis_web
