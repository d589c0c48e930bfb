// Asks the monitor of a machine; what can be asked: monitor.hpp.
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::machine {

/// Asks a monitor from another process: sends `request`, waits for one answer. The connection stays open in `socket`.
/// Errors: nobody listens, no answer within `timeout` (ExitCode::TimedOut), an answer that is none.
class MonitorClient {
 public:
  static Result<MonitorClient> connect(const std::filesystem::path& socket_path);

  Result<nlohmann::json> ask(const nlohmann::json& request, std::chrono::milliseconds timeout);
  /// The next line that comes without having been asked for.
  Result<nlohmann::json> next(std::chrono::milliseconds timeout);

 private:
  explicit MonitorClient(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
  std::string received_;
};

}  // namespace vmm::machine
