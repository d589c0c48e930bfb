// Random numbers that a seed decides.
#pragma once

#include <cstdint>

namespace guest::stress {

/// SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed = 0) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t word = state_;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    return word ^ (word >> 31);
  }
  /// From 0 to `end` - 1.
  std::uint64_t below(std::uint64_t end) { return next() % end; }
  /// From `first` to `last`.
  std::uint64_t between(std::uint64_t first, std::uint64_t last) { return first + below(last - first + 1); }
  std::uint32_t index(std::uint32_t end) { return static_cast<std::uint32_t>(below(end)); }
  bool one_in(std::uint64_t times) { return below(times) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace guest::stress
