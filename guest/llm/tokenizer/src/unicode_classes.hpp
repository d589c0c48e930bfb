// What kind of character a code is.
#pragma once

#include <cstdint>

namespace guest::llm {

/// General category L of Unicode (the version is in unicode_classes.cpp).
bool is_letter(std::uint32_t code);
/// General category N.
bool is_number(std::uint32_t code);
/// White_Space.
bool is_space(std::uint32_t code);

}  // namespace guest::llm
