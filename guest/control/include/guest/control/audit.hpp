// What requests leave in the audit log (docs/audit.md), whichever way they came.
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/control/command.hpp"
#include "guest/security/authority.hpp"

namespace guest::control {

struct Services;

/// A request, for the time that it takes.
struct AuditedRequest {
  security::Principal who{};
  std::string_view op = {};  ///< the command's name, static storage; empty: it has not come to one
  abi::control::Rights needed = abi::control::Rights::None;  ///< by that command: recorded_rights()
  std::uint32_t bytes = 0;                                   ///< its length; nothing of what it says is recorded
  bool hello = false;
};

/// Records how a request ended: `code` is that of the error, or empty. What was done with neither SUBMIT nor ADMIN
/// leaves no record, nor does its end by Cancel.
void audit(Services& services, const AuditedRequest& request, std::string_view code);

}  // namespace guest::control
