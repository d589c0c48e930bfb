// Bit fields of registers and descriptors. Shifts and masks appear nowhere else.
#pragma once

#include <cstdint>

namespace guest::arch {

/// Bits Hi..Lo of a 64-bit register, holding a V (an integer, bool or enum).
template <unsigned Hi, unsigned Lo, typename V = std::uint64_t>
struct Field {
  static_assert(Lo <= Hi && Hi < 64);
  static constexpr std::uint64_t kMax = ~std::uint64_t{0} >> (63 - (Hi - Lo));
  static constexpr std::uint64_t kMask = kMax << Lo;

  /// `value` in its place. A value that does not fit is a compile error in constant expressions, else a trap.
  static constexpr std::uint64_t encode(V value) {
    const auto raw = static_cast<std::uint64_t>(value);
    if (raw > kMax) {
      __builtin_trap();
    }
    return raw << Lo;
  }
  static constexpr V decode(std::uint64_t reg) { return static_cast<V>((reg & kMask) >> Lo); }
  /// `reg` with this field replaced.
  static constexpr std::uint64_t replace(std::uint64_t reg, V value) { return (reg & ~kMask) | encode(value); }
};

template <unsigned N>
using Bit = Field<N, N, bool>;

}  // namespace guest::arch
