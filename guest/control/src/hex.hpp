// Bytes as hexadecimal digits, and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::control {

/// Writes two digits a byte.
void write_hex(kernel::TextOutput& output, std::span<const std::uint8_t> bytes);

/// The digits in `out`, which has room for them.
std::string_view to_hex(std::span<const std::byte> bytes, std::span<char> out);

/// Reads digits of either case, two for each byte of `out`, no more and no fewer. False: it is something else.
bool parse_hex(std::string_view text, std::span<std::uint8_t> out);

/// A number of 1 to 16 digits, with or without 0x in front. Nothing: it is something else.
std::optional<std::uint64_t> parse_hex_number(std::string_view text);

}  // namespace guest::control
