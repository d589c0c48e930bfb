// Numbers as users write them.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace vmm {

/// The whole of `text` as a T; nothing if it is not one or does not fit.
template <typename T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// "-5", "5"; not "+5", "05", "5.0", which are a matter of opinion.
inline bool is_plain_integer(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  return digits && !text.empty() && (text.front() != '0' || text.size() == 1);
}

struct Unit {
  const char* name;
  std::uint64_t factor;
};

inline constexpr std::array kSizeUnits = {Unit{"GiB", 1ull << 30}, Unit{"MiB", 1ull << 20}, Unit{"KiB", 1ull << 10},
                                          Unit{"B", 1}};
inline constexpr std::array kFineDurationUnits = {Unit{"s", 1'000'000'000}, Unit{"ms", 1'000'000}, Unit{"us", 1000},
                                                  Unit{"ns", 1}};
inline constexpr std::array kDurationUnits = {Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1000}, Unit{"ms", 1}};

/// "256MiB": digits and a unit.
inline std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (!is_plain_integer(text.substr(0, digits))) return std::nullopt;
  const auto number = parse_whole<std::uint64_t>(text.substr(0, digits));
  const auto unit = std::ranges::find(units, text.substr(digits), &Unit::name);
  std::uint64_t value = 0;
  if (!number || unit == units.end() || __builtin_mul_overflow(*number, unit->factor, &value)) return std::nullopt;
  return value;
}

}  // namespace vmm
