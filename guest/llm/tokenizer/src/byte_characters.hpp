// GPT-2's characters for bytes: each byte has one that can be seen and is no space, so that tokens are text. Those that
// can be seen stand for themselves (as ISO 8859-1 has them), the others, in their order, are U+0100 and on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace guest::llm {

constexpr bool stands_for_itself(std::uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct ByteCharacters {
  std::array<std::uint16_t, 256> characters{};
  std::array<std::uint8_t, 256> others{};  ///< the byte of U+0100 + n
  std::uint32_t other_count = 0;
};

constexpr ByteCharacters make_byte_characters() {
  ByteCharacters made;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      made.characters[byte] = static_cast<std::uint16_t>(byte);
    } else {
      made.characters[byte] = static_cast<std::uint16_t>(0x100 + made.other_count);
      made.others[made.other_count++] = static_cast<std::uint8_t>(byte);
    }
  }
  return made;
}
inline constexpr ByteCharacters kByteCharacters = make_byte_characters();
static_assert(kByteCharacters.characters[' '] == 0x120 && kByteCharacters.characters['\n'] == 0x10A &&
              kByteCharacters.other_count == 68);

/// Nothing: no byte has this character.
constexpr std::optional<std::uint8_t> byte_of_character(std::uint32_t code) {
  if (code < 0x100) {
    return stands_for_itself(code) ? std::optional(static_cast<std::uint8_t>(code)) : std::nullopt;
  }
  return code - 0x100 < kByteCharacters.other_count ? std::optional(kByteCharacters.others[code - 0x100])
                                                    : std::nullopt;
}

/// A byte's character as UTF-8.
struct ByteText {
  char text[2] = {};
  std::uint32_t bytes = 0;
};
constexpr ByteText text_of_byte(std::uint8_t byte) {
  const std::uint32_t code = kByteCharacters.characters[byte];
  if (code < 0x80) {
    return {{static_cast<char>(code)}, 1};
  }
  return {{static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))}, 2};
}

}  // namespace guest::llm
