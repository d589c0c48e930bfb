// Errors of the control client.
#pragma once

#include <expected>
#include <string>

namespace vmm::control {

/// Why a request got no good reply. Each kind has an exit code of its own in sisctl.
struct ClientError {
  enum class Kind {
    Refused,         ///< the guest answered with an error: `code`, `field`
    NoSuchMachine,   ///< the socket does not exist
    ConnectRefused,  ///< nobody listens on the socket
    NoSuchPort,      ///< the machine runs, but nothing in the guest listens on the port
    NoPermission,
    Timeout,
    ConnectionLost,  ///< closed before the reply
    Protocol,        ///< bytes that the protocol does not allow
    BadRequest,      ///< not sent: the request itself cannot be (too large, too many at a time)
  };
  Kind kind;
  std::string message;
  std::string code = {};   ///< Refused: abi::control::error
  std::string field = {};  ///< Refused: the offending argument, if one
};

template <typename T>
using ClientResult = std::expected<T, ClientError>;

}  // namespace vmm::control
