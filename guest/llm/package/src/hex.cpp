#include "guest/llm/package/hex.hpp"

#include <cstddef>

namespace guest::llm::package {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

}  // namespace

void write_hex(kernel::TextOutput& output, std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    const char digits[] = {kDigits[byte >> 4], kDigits[byte & 0xF]};
    output.write({digits, sizeof(digits)});
  }
}

bool read_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != 2 * out.size()) {
    return false;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t high = kDigits.find(text[2 * i]);
    const std::size_t low = kDigits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
      return false;
    }
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace guest::llm::package
