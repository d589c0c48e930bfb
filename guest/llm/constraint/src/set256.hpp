// A set of numbers below 256: bytes, or positions of a pattern.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace guest::llm {

class Set256 {
 public:
  [[nodiscard]] constexpr bool has(std::size_t i) const { return (words_[i / kBits] >> (i % kBits) & 1) != 0; }
  constexpr void add(std::size_t i) { words_[i / kBits] |= std::uint64_t{1} << (i % kBits); }
  /// Both are of the set.
  constexpr void add_range(std::size_t first, std::size_t last) {
    for (std::size_t i = first; i <= last; ++i) {
      add(i);
    }
  }
  constexpr void add(const Set256& other) {
    for (std::size_t i = 0; i < kWords; ++i) {
      words_[i] |= other.words_[i];
    }
  }
  constexpr void keep(const Set256& other) {
    for (std::size_t i = 0; i < kWords; ++i) {
      words_[i] &= other.words_[i];
    }
  }
  constexpr void remove(const Set256& other) {
    for (std::size_t i = 0; i < kWords; ++i) {
      words_[i] &= ~other.words_[i];
    }
  }
  [[nodiscard]] constexpr bool empty() const { return *this == Set256(); }
  template <typename Visit>
  constexpr void for_each(Visit visit) const {
    for (std::size_t i = 0; i < kWords; ++i) {
      for (std::uint64_t left = words_[i]; left != 0; left &= left - 1) {
        visit(i * kBits + static_cast<std::size_t>(std::countr_zero(left)));
      }
    }
  }
  /// Equal sets have equal ones.
  [[nodiscard]] constexpr std::uint64_t hash() const {
    std::uint64_t hash = 0;
    for (const std::uint64_t word : words_) {
      hash = (hash ^ word) * 0x9E37'79B9'7F4A'7C15;
      hash ^= hash >> 29;
    }
    return hash;
  }
  constexpr bool operator==(const Set256&) const = default;

 private:
  static constexpr std::size_t kBits = 64;
  static constexpr std::size_t kWords = 256 / kBits;
  std::array<std::uint64_t, kWords> words_{};
};

}  // namespace guest::llm
