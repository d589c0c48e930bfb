// Bytes as lower-case hexadecimal digits, the one way in which manifests and key files write them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::llm::package {

/// Writes two digits a byte.
void write_hex(kernel::TextOutput& output, std::span<const std::uint8_t> bytes);

/// Reads two digits for each byte of `out`, no more and no fewer, lower case only. False: it is something else, and
/// `out` is not to be used.
[[nodiscard]] bool read_hex(std::string_view text, std::span<std::uint8_t> out);

}  // namespace guest::llm::package
