// Arithmetic on sizes that a driver gives: what does not fit stays at the largest number, which no region and no limit
// reaches.
#pragma once

#include <cstdint>

namespace npu {

inline constexpr std::uint64_t kSaturated = ~std::uint64_t{0};

constexpr std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kSaturated : sum;
}

constexpr std::uint64_t saturating_multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kSaturated : product;
}

/// `divisor` is not 0.
constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t divisor) {
  return value / divisor + (value % divisor != 0 ? 1 : 0);
}

}  // namespace npu
