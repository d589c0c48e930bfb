// Files that operators are made from.
#pragma once

#include <expected>
#include <span>
#include <string_view>

#include "guest/kernel/named_error.hpp"

namespace guest::graph {

/// Errors: graph-unavailable (the kernel has no files), graph-no-file.
std::expected<std::span<const std::byte>, kernel::NamedError> find_file(std::string_view name);

}  // namespace guest::graph
