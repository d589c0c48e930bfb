// Fields of what the guest has sent, which may be anything.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace vmm::observe {

/// Nothing: `value` is no whole number of 0 or more.
inline std::optional<std::uint64_t> number_in(const nlohmann::json& value) {
  const bool negative = value.is_number_integer() && !value.is_number_unsigned() && value.get<std::int64_t>() < 0;
  return value.is_number_integer() && !negative ? std::optional(value.get<std::uint64_t>()) : std::nullopt;
}

/// Nothing: `object` is none, has no such field, or the field is no number of 0 or more.
inline std::optional<std::uint64_t> number_in(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  return found == object.end() ? std::nullopt : number_in(*found);
}

/// Null: `object` is none, or has no such field with an object in it.
inline const nlohmann::json* object_in(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || !found->is_object() ? nullptr : &*found;
}

inline bool flag_in(const nlohmann::json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_boolean() && found->get<bool>();
}

/// What the kernel's metrics and histograms are called (docs/observation.md, Metrics).
inline bool is_metric_name(std::string_view name) {
  constexpr std::size_t kMaxName = 160;
  return !name.empty() && name.size() <= kMaxName &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace vmm::observe
