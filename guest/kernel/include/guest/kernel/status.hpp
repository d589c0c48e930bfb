// How kernel functions say that they could not do what was asked: a Status, or a Result with a value.
//
// What the caller must guarantee is checked with require() (panic.hpp); what may run out or may be wrong in input from
// outside is returned. Input from outside that a person has to correct carries a NamedError (named_error.hpp).
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace guest::kernel {

enum class [[nodiscard]] Status : std::uint8_t {
  Ok,
  NoMemory,    ///< memory or another bounded resource ran out
  Invalid,     ///< an argument or the data is malformed
  OutOfRange,  ///< well-formed, but outside of what is allowed
  NotFound,
  Exists,       ///< taken already
  Busy,         ///< not now; trying again later may help
  Unsupported,  ///< this machine or device does not offer it
  TimedOut,
  Closed,        ///< the other side is gone
  DeviceFailed,  ///< a device broke its contract
};

/// Stable lower-case name: "no-memory".
constexpr std::string_view to_string(Status status) {
  switch (status) {
    case Status::Ok:
      return "ok";
    case Status::NoMemory:
      return "no-memory";
    case Status::Invalid:
      return "invalid";
    case Status::OutOfRange:
      return "out-of-range";
    case Status::NotFound:
      return "not-found";
    case Status::Exists:
      return "exists";
    case Status::Busy:
      return "busy";
    case Status::Unsupported:
      return "unsupported";
    case Status::TimedOut:
      return "timed-out";
    case Status::Closed:
      return "closed";
    case Status::DeviceFailed:
      return "device-failed";
  }
  return "unknown-status";
}

/// A value, or why there is none. `return std::unexpected(Status::NoMemory);`
template <typename T, typename E = Status>
using Result = std::expected<T, E>;

}  // namespace guest::kernel
