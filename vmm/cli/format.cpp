#include "vmm/cli/format.hpp"

#include <array>
#include <cstdio>

namespace vmm::cli {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

std::string with_unit(double value, const char* unit) {
  char text[48];
  // Three digits that mean something: 1.23, 12.3, 123.
  const int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  std::snprintf(text, sizeof text, "%.*f %s", decimals, value, unit);
  return text;
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
  return whole ? std::to_string(static_cast<std::uint64_t>(value)) + " " + kUnits[unit]
               : with_unit(value, kUnits[unit]);
}

std::string format_duration(std::chrono::nanoseconds time) {
  const auto ns = static_cast<double>(time.count());
  if (ns < 1e3) return std::to_string(time.count()) + " ns";
  if (ns < 999.5e3) return with_unit(ns / 1e3, "us");
  if (ns < 999.5e6) return with_unit(ns / 1e6, "ms");
  return with_unit(ns / 1e9, "s");
}

std::string format_seconds(std::chrono::nanoseconds time) {
  return std::to_string(std::chrono::floor<std::chrono::seconds>(time).count()) + " s";
}

std::string machine_name_from(const std::string& text) {
  std::string name;
  for (const char c : text) {
    if (name.size() == 64) break;
    const bool first = name.empty();
    if (is_name_character(c) && !(first && (c == '.' || c == '_' || c == '-'))) {
      name.push_back(c);
    } else if (!first && name.back() != '-') {
      name.push_back('-');
    }
  }
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "machine" : name;
}

}  // namespace vmm::cli
