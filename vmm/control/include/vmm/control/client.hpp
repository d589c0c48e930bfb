// A blocking client of the guest's control server (abi/control.hpp), used by the scenario runner and by sisctl.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <string>

#include "abi/control.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::control {

using Key = std::array<std::uint8_t, abi::control::kKeyBytes>;

/// Makes a token under `key` (HMAC-SHA-256, libsodium).
abi::control::Token make_token(const Key& key, std::uint32_t id, abi::control::Rights rights,
                               std::uint64_t expires_unix_ns);

/// Why a request got no good reply. Each kind has an exit code of its own in sisctl.
struct ClientError {
  enum class Kind {
    Refused,         ///< the guest answered with an error: `code`, `field`
    NoSuchMachine,   ///< the socket does not exist
    ConnectRefused,  ///< nobody listens on the socket, or the guest has no such port
    NoPermission,
    Timeout,
    ConnectionLost,  ///< closed before the reply
    Protocol,        ///< bytes that the protocol does not allow
  };
  Kind kind;
  std::string message;
  std::string code;   ///< Refused: abi::control::error
  std::string field;  ///< Refused: the offending argument, if one
};

template <typename T>
using ClientResult = std::expected<T, ClientError>;

/// One connection. Not thread safe: one thread, one Client.
class Client {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// Connects through the machine's hybrid vsock socket ("CONNECT port\n", "OK host_port\n"), waiting for the guest
  /// until `deadline`, and says Hello with `token`.
  static ClientResult<Client> connect(const std::string& socket_path, const abi::control::Token& token,
                                      Deadline deadline);

  /// Sends {op, args} and waits for its reply. The result is the map under "result".
  ClientResult<nlohmann::json> call(const std::string& op, const nlohmann::json& args, Deadline deadline);

 private:
  explicit Client(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  std::uint32_t next_id_ = 1;
};

}  // namespace vmm::control
