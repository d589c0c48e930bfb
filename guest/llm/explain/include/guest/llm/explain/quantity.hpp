// Numbers as prompts and answers have them: to two digits, with a unit (docs/explain.md, Numbers).
#pragma once

#include <cstdint>

#include "guest/kernel/format.hpp"

namespace guest::llm::explain {

enum class Unit : std::uint8_t { Count, Nanoseconds, Permille };

/// m * 10^p is a value to two digits, a half rounded up. m is 10 to 99, or the value itself where that is below 10.
struct TwoDigits {
  std::uint32_t mantissa = 0;
  std::uint32_t power = 0;
};
TwoDigits two_digits(std::uint64_t value);

/// As many as look the same in a prompt are the same: what they are compared by.
std::uint64_t as_shown(std::uint64_t value, Unit unit);

using QuantityText = kernel::FixedText<8>;

/// "99", "1.2k" (at most 990M); "0.5us", "210ms" (at most 990s); "7.1%", "71%" (at most 100%).
QuantityText quantity(std::uint64_t value, Unit unit);

}  // namespace guest::llm::explain
