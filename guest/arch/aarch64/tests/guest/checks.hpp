// What the test images share: checks that run in the guest, one after the other.
#pragma once

#include <span>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest {

/// 0: passed; else the line of the check that failed.
using Check = unsigned (*)();
#define EXPECT(condition)        \
  do {                           \
    if (!(condition)) {          \
      return unsigned{__LINE__}; \
    }                            \
  } while (false)

struct NamedCheck {
  std::string_view name;
  Check check;
};

/// Prints "TEST <name> ok" or "TEST <name> FAILED: line <line>" for each; returns how many failed.
inline unsigned run_checks(std::span<const NamedCheck> checks) {
  unsigned failures = 0;
  for (const auto& [name, check] : checks) {
    if (const unsigned line = check(); line != 0) {
      ++failures;
      kernel::log_error("TEST {} FAILED: line {}", name, line);
    } else {
      kernel::log_error("TEST {} ok", name);
    }
  }
  return failures;
}

}  // namespace guest
