#include "hex.hpp"

#include "guest/kernel/panic.hpp"

namespace guest::control {
namespace {

constexpr unsigned kNoDigit = 16;
constexpr std::string_view kDigits = "0123456789abcdef";

unsigned digit_of(char letter) {
  if (letter >= '0' && letter <= '9') {
    return static_cast<unsigned>(letter - '0');
  }
  const char lower = static_cast<char>(letter | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : kNoDigit;
}

}  // namespace

void write_hex(kernel::TextOutput& output, std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    const char digits[] = {kDigits[byte >> 4], kDigits[byte & 0xF]};
    output.write({digits, 2});
  }
}

std::string_view to_hex(std::span<const std::byte> bytes, std::span<char> out) {
  kernel::require(out.size() >= 2 * bytes.size(), "no room for hexadecimal digits");
  char* at = out.data();
  for (const std::byte byte : bytes) {
    *at++ = kDigits[std::to_integer<std::size_t>(byte) >> 4];
    *at++ = kDigits[std::to_integer<std::size_t>(byte) & 0xF];
  }
  return {out.data(), 2 * bytes.size()};
}

bool parse_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != 2 * out.size()) {
    return false;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned high = digit_of(text[2 * i]);
    const unsigned low = digit_of(text[2 * i + 1]);
    if (high == kNoDigit || low == kNoDigit) {
      return false;
    }
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

std::optional<std::uint64_t> parse_hex_number(std::string_view text) {
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
  }
  if (text.empty() || text.size() > 16) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (const char letter : text) {
    const unsigned digit = digit_of(letter);
    if (digit == kNoDigit) {
      return std::nullopt;
    }
    value = value * 16 + digit;
  }
  return value;
}

}  // namespace guest::control
