// An error about input from outside that someone has to correct: a stable name for programs, a sentence for people.
#pragma once

#include <expected>
#include <string_view>

#include "guest/kernel/format.hpp"

namespace guest::kernel {

struct NamedError {
  /// Stable, static storage: "archive-truncated". Part of docs/boot-config.md.
  std::string_view name;
  /// What was found where, and what was expected. Untrusted parts are escaped.
  FixedText<192> detail;
};

/// Done, or why not.
using Outcome = std::expected<void, NamedError>;

/// `return fail("archive-truncated", "{} bytes, {} wanted", n, m);`
template <typename... Args>
std::unexpected<NamedError> fail(std::string_view name, format_detail::Checked<Args...> format, const Args&... args) {
  std::unexpected<NamedError> result(NamedError{.name = name, .detail = {}});
  const format_detail::Argument arguments[sizeof...(Args) + 1] = {format_detail::argument(args)..., {}};
  format_detail::write_formatted(result.error().detail, format.text, {arguments, sizeof...(Args)});
  return result;
}

}  // namespace guest::kernel
