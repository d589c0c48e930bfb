// Characters of a text that may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guest::llm {

struct Character {
  std::uint32_t code = 0;
  std::uint32_t bytes = 0;
};

/// What a byte counts as that begins no character: REPLACEMENT CHARACTER, which is neither a letter nor a space.
inline constexpr std::uint32_t kNoCharacter = 0xFFFD;

/// The character at `at`, which is below text.size(). A byte that begins none (RFC 3629: too long a form, a surrogate,
/// an end that is missing) is one kNoCharacter.
constexpr Character character_at(std::string_view text, std::size_t at) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(at);
  if (first < 0x80) {
    return {first, 1};
  }
  const std::uint32_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || bytes > text.size() - at) {
    return {kNoCharacter, 1};
  }
  std::uint32_t code = first & (0x7FU >> bytes);
  for (std::uint32_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) {
      return {kNoCharacter, 1};
    }
    code = code << 6 | (byte(at + i) & 0x3F);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x1'0000};
  if (code < kLeast[bytes] || code > 0x10'FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    return {kNoCharacter, 1};
  }
  return {code, bytes};
}

}  // namespace guest::llm
