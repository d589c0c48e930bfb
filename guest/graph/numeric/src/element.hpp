// Numbers in memory. Everything here is static: code that uses FP registers must not be what the linker chooses for a
// function that other code has, too (CMakeLists.txt checks).
#pragma once

#include <cstdint>

#include "guest/graph/numeric/numeric.hpp"

namespace guest::graph::numeric {

template <typename T>
[[gnu::always_inline]] static inline T load_as(const std::byte* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof(T));
  return value;
}

[[gnu::always_inline]] static inline double load_f32(const std::byte* values, std::size_t index) {
  return static_cast<double>(load_as<float>(values + index * sizeof(float)));
}

/// Rounded to the nearest f32; the largest finite one for what is beyond.
[[gnu::always_inline]] static inline float to_f32(double value) {
  constexpr double kLargest = 3.4028234663852886e38;
  const double bounded = value > kLargest ? kLargest : value < -kLargest ? -kLargest : value;
  return static_cast<float>(bounded);
}

[[gnu::always_inline]] static inline void store_f32(std::byte* values, std::size_t index, double value) {
  const float rounded = to_f32(value);
  __builtin_memcpy(values + index * sizeof(float), &rounded, sizeof(float));
}

/// Calls visit(index, element as double) for each element, in their order.
template <typename T, typename Visit>
[[gnu::always_inline]] static inline void visit_typed(const Elements& from, Visit&& visit) {
  const std::byte* const data = from.bytes.data();
  const std::size_t count = from.bytes.size() / sizeof(T);
  for (std::size_t i = 0; i < count; ++i) {
    visit(i, static_cast<double>(load_as<T>(data + i * sizeof(T))));
  }
}

template <typename Visit>
[[gnu::always_inline]] static inline void visit_elements(const Elements& from, Visit&& visit) {
  switch (from.dtype) {
    case DType::U8:
      return visit_typed<std::uint8_t>(from, visit);
    case DType::I8:
      return visit_typed<std::int8_t>(from, visit);
    case DType::U16:
      return visit_typed<std::uint16_t>(from, visit);
    case DType::I16:
      return visit_typed<std::int16_t>(from, visit);
    case DType::U32:
      return visit_typed<std::uint32_t>(from, visit);
    case DType::I32:
      return visit_typed<std::int32_t>(from, visit);
    case DType::F32:
      return visit_typed<float>(from, visit);
    default:
      return;
  }
}

}  // namespace guest::graph::numeric
