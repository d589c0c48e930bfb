#include "guest/llm/explain/quantity.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace guest::llm::explain {
namespace {

constexpr std::uint64_t kMostCount = 990'000'000;
constexpr std::uint64_t kMostNanoseconds = 990'000'000'000;
constexpr std::uint64_t kMostPermille = 1000;
constexpr std::uint64_t kNanosecondsOfTenth = 100;  // of a microsecond

enum class Layout : std::uint8_t { Decimal, Whole, Tens };  // 2.1, 21, 210

/// What a value is rounded as: below its largest one, durations in tenths of a microsecond.
std::uint64_t in_steps(std::uint64_t value, Unit unit) {
  switch (unit) {
    case Unit::Count:
      return std::min(value, kMostCount);
    case Unit::Nanoseconds:
      return (std::min(value, kMostNanoseconds) + kNanosecondsOfTenth / 2) / kNanosecondsOfTenth;
    case Unit::Permille:
      return std::min(value, kMostPermille);
  }
  return 0;
}

void write(QuantityText& text, std::uint32_t mantissa, Layout layout, std::string_view unit) {
  if (layout == Layout::Decimal) {
    kernel::format_to(text, "{}.{}{}", mantissa / 10, mantissa % 10, unit);
  } else {
    kernel::format_to(text, "{}{}{}", mantissa, layout == Layout::Tens ? "0" : "", unit);
  }
}

}  // namespace

TwoDigits two_digits(std::uint64_t value) {
  std::uint64_t scale = 1;
  std::uint32_t power = 0;
  while (value / scale >= 100) {
    scale *= 10;
    ++power;
  }
  // The remainder and not value + scale / 2, which could overflow.
  const std::uint64_t mantissa = value / scale + (value % scale >= scale - scale / 2 ? 1 : 0);
  if (mantissa == 100) {
    return {.mantissa = 10, .power = power + 1};
  }
  return {.mantissa = static_cast<std::uint32_t>(mantissa), .power = power};
}

std::uint64_t as_shown(std::uint64_t value, Unit unit) {
  const TwoDigits digits = two_digits(in_steps(value, unit));
  std::uint64_t shown = digits.mantissa;
  for (std::uint32_t i = 0; i < digits.power; ++i) {
    shown *= 10;
  }
  return shown;
}

QuantityText quantity(std::uint64_t value, Unit unit) {
  constexpr std::array<std::string_view, 3> kCounts = {"", "k", "M"};
  constexpr std::array<std::string_view, 3> kTimes = {"us", "ms", "s"};
  const TwoDigits digits = two_digits(in_steps(value, unit));
  QuantityText text;
  switch (unit) {
    case Unit::Count: {
      // A whole number first, then tens, and from thousands on one with a decimal.
      constexpr std::array kLayouts = {Layout::Whole, Layout::Tens, Layout::Decimal};
      write(text, digits.mantissa, kLayouts[digits.power % 3], kCounts[(digits.power + 1) / 3]);
      break;
    }
    case Unit::Nanoseconds:
      write(text, digits.mantissa, static_cast<Layout>(digits.power % 3), kTimes[digits.power / 3]);
      break;
    case Unit::Permille:
      write(text, digits.mantissa, static_cast<Layout>(digits.power), "%");
      break;
  }
  return text;
}

}  // namespace guest::llm::explain
