// Options of the kernel's command line (/chosen, bootargs).
#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "guest/kernel/log.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::kernel {

struct BootOptions {
  std::optional<Verbosity> verbosity;  ///< "verbosity=quiet", "info" or "debug"; the last one counts
  /// "shell=LINE", of which all the rest of the arguments is the line: the shell runs it when it starts, as if typed.
  /// So a machine does something to which nothing comes from outside. A view of the arguments; empty: none.
  std::string_view shell_line;
};

/// Words separated by blanks. Words that are not ours belong to other readers of the same line (console=, earlycon:
/// boot loaders add them) and are passed over. Errors: bootargs-bad-value.
std::expected<BootOptions, NamedError> parse_boot_options(std::string_view arguments);

}  // namespace guest::kernel
