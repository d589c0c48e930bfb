// Cycles of the modelled device as time.
#pragma once

#include <cstdint>

namespace guest::npu {

/// Rounded up. `clock_hz` is at least 1 and below 2^32.
constexpr std::uint64_t modelled_ns(std::uint64_t cycles, std::uint64_t clock_hz) {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  // In parts, since the product has more than 64 bits.
  const std::uint64_t rest = (cycles % clock_hz * kNsPerSecond + clock_hz - 1) / clock_hz;
  return cycles / clock_hz * kNsPerSecond + rest;
}
static_assert(modelled_ns(3, 1'000'000'000) == 3 && modelled_ns(3, 2) == 1'500'000'000);

}  // namespace guest::npu
