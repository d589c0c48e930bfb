// Numbers in the bytes of a tensor or of a file: little-endian, as the machine is.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "guest/kernel/panic.hpp"

namespace guest::graph {

static_assert(std::endian::native == std::endian::little);

/// The number that begins at `offset`; alignment does not matter.
template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  kernel::require(offset <= bytes.size() && sizeof(T) <= bytes.size() - offset, "a load beyond the end of a tensor");
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

template <typename T>
void store(std::span<std::byte> bytes, std::size_t offset, T value) {
  kernel::require(offset <= bytes.size() && sizeof(T) <= bytes.size() - offset, "a store beyond the end of a tensor");
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

/// Of the bits of an f32: neither infinite nor "not a number" (IEEE 754-2019, binary32: their exponent is all ones).
constexpr bool is_finite_f32(std::uint32_t bits) { return (bits & 0x7f80'0000U) != 0x7f80'0000U; }

}  // namespace guest::graph
