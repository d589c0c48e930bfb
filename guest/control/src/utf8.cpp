#include "guest/control/utf8.hpp"

#include <cstddef>
#include <cstdint>

namespace guest::control {
namespace {

/// Bytes of the sequence that starts with `lead`, 0 if none does; the range of its second byte (RFC 3629, section 4).
struct Sequence {
  std::size_t length;
  std::uint8_t second_min;
  std::uint8_t second_max;
};

Sequence sequence_of(std::uint8_t lead) {
  if (lead < 0x80) {
    return {1, 0, 0};
  }
  if (lead >= 0xC2 && lead <= 0xDF) {
    return {2, 0x80, 0xBF};
  }
  if (lead >= 0xE0 && lead <= 0xEF) {
    return {3, static_cast<std::uint8_t>(lead == 0xE0 ? 0xA0 : 0x80),
            static_cast<std::uint8_t>(lead == 0xED ? 0x9F : 0xBF)};
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    return {4, static_cast<std::uint8_t>(lead == 0xF0 ? 0x90 : 0x80),
            static_cast<std::uint8_t>(lead == 0xF4 ? 0x8F : 0xBF)};
  }
  return {0, 0, 0};
}

}  // namespace

bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Sequence sequence = sequence_of(static_cast<std::uint8_t>(text[at]));
    if (sequence.length == 0 || sequence.length > text.size() - at) {
      return false;
    }
    for (std::size_t i = 1; i < sequence.length; ++i) {
      const auto byte = static_cast<std::uint8_t>(text[at + i]);
      const std::uint8_t low = i == 1 ? sequence.second_min : 0x80;
      const std::uint8_t high = i == 1 ? sequence.second_max : 0xBF;
      if (byte < low || byte > high) {
        return false;
      }
    }
    at += sequence.length;
  }
  return true;
}

}  // namespace guest::control
