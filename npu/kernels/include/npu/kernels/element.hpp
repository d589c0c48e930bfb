// Elements of tensors in memory. The memory may be written by its owner while a command runs: what is read there is
// only ever a number, never an address, unless it was fetched once and checked (fetch_index()).
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/npu.hpp"
#include "npu/kernels/real.hpp"
#include "npu/stream/checked_command.hpp"

namespace npu {

using abi::npu::Type;

/// Other code sees the same bytes as other types.
using MemF32 [[gnu::may_alias]] = float;
using MemI32 [[gnu::may_alias]] = std::int32_t;
using MemU16 [[gnu::may_alias]] = std::uint16_t;
using MemI8 [[gnu::may_alias]] = std::int8_t;
using MemU8 [[gnu::may_alias]] = std::uint8_t;

/// The first byte of a row.
[[gnu::always_inline]] static inline std::byte* row_of(const Operand& operand, std::uint64_t row) {
  return operand.data + row * operand.row_stride;
}

// A row as numbers. The checker has seen to the alignment, which the bytes' own type does not have.
[[gnu::always_inline]] static inline MemF32* f32(std::byte* row) {
  return static_cast<MemF32*>(__builtin_assume_aligned(row, alignof(MemF32)));
}
[[gnu::always_inline]] static inline MemI32* i32(std::byte* row) {
  return static_cast<MemI32*>(__builtin_assume_aligned(row, alignof(MemI32)));
}
[[gnu::always_inline]] static inline MemU16* u16(std::byte* row) {
  return static_cast<MemU16*>(__builtin_assume_aligned(row, alignof(MemU16)));
}
[[gnu::always_inline]] static inline MemI8* i8(std::byte* row) {
  return static_cast<MemI8*>(__builtin_assume_aligned(row, alignof(MemI8)));
}
[[gnu::always_inline]] static inline MemU8* u8(std::byte* row) {
  return static_cast<MemU8*>(__builtin_assume_aligned(row, alignof(MemU8)));
}

[[gnu::always_inline]] static inline MemF32* f32_row(const Operand& operand, std::uint64_t row) {
  return f32(row_of(operand, row));
}

/// An i32 that is read exactly once, so that what was checked is what is used.
[[gnu::always_inline]] static inline std::int32_t fetch_index(const MemI32* from) {
  return __atomic_load_n(from, __ATOMIC_RELAXED);
}

[[gnu::always_inline]] static inline float bits_to_f32(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }
[[gnu::always_inline]] static inline std::uint32_t f32_to_bits(float value) {
  return __builtin_bit_cast(std::uint32_t, value);
}

/// Exact.
static inline float f16_to_f32(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {
    const float value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  const std::uint32_t high = exponent == 0x1F ? 0xFFU : exponent + (127 - 15);
  return bits_to_f32(sign | high << 23 | fraction << 13);
}

/// To the nearest, ties to even; what is beyond the largest one is infinite.
static inline std::uint16_t f32_to_f16(float value) {
  const std::uint32_t bits = f32_to_bits(value);
  const std::uint32_t sign = bits >> 16 & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFF'FFFFU;
  std::uint32_t half = 0;
  if (magnitude > 0x7F80'0000U) {
    half = 0x7E00;
  } else if (magnitude >= 0x477F'F000U) {  // 65520, half way to the first one that is too large
    half = 0x7C00;
  } else if (magnitude < 0x3880'0000U) {  // 2^-14: subnormal, a multiple of 2^-24
    half = static_cast<std::uint32_t>(round_even(static_cast<double>(bits_to_f32(magnitude)) * 0x1p24));
  } else {
    const std::uint32_t odd = magnitude >> 13 & 1U;
    half = (magnitude - ((127 - 15) << 23) + 0xFFFU + odd) >> 13;
  }
  return static_cast<std::uint16_t>(sign | half);
}

/// Element `index` of a row of `kType`, exact.
template <Type kType>
[[gnu::always_inline]] static inline float element(std::byte* row, std::uint64_t index) {
  if constexpr (kType == Type::F32) {
    return f32(row)[index];
  } else if constexpr (kType == Type::F16) {
    return f16_to_f32(u16(row)[index]);
  } else {
    constexpr std::uint32_t kHalf = abi::npu::kBlockElements / 2;
    constexpr std::uint32_t kBytes = kType == Type::Q8_0 ? abi::npu::kQ8BlockBytes : abi::npu::kQ4BlockBytes;
    std::byte* const block = row + index / abi::npu::kBlockElements * kBytes;
    const auto i = static_cast<std::uint32_t>(index % abi::npu::kBlockElements);
    const float scale = f16_to_f32(*u16(block));
    if constexpr (kType == Type::Q8_0) {
      return scale * static_cast<float>(i8(block + sizeof(std::uint16_t))[i]);
    } else {
      const unsigned pair = u8(block + sizeof(std::uint16_t))[i % kHalf];
      const unsigned nibble = i < kHalf ? pair & 0xFU : pair >> 4;
      return scale * static_cast<float>(static_cast<int>(nibble) - 8);
    }
  }
}

/// Calls visit.template operator()<type>() for the type of weights, a table or a cache.
template <typename Visit>
[[gnu::always_inline]] static inline void with_type(Type type, Visit&& visit) {
  switch (type) {
    case Type::F16:
      return visit.template operator()<Type::F16>();
    case Type::Q8_0:
      return visit.template operator()<Type::Q8_0>();
    case Type::Q4_0:
      return visit.template operator()<Type::Q4_0>();
    default:
      return visit.template operator()<Type::F32>();
  }
}

/// NaN stays.
[[gnu::always_inline]] static inline float clamp(float value, float min, float max) {
  return value < min ? min : value > max ? max : value;
}

}  // namespace npu
