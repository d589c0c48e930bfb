// Blocks of quantised numbers: how f32 becomes one, and products of two.
#pragma once

#include "npu/kernels/element.hpp"

namespace npu {

/// 32 numbers as integers of a common scale.
struct Block {
  float scale;
  std::int8_t values[abi::npu::kBlockElements];
};

/// The scale is the largest magnitude / 127, and each value x / scale to the nearest integer, ties to even. All 0 where
/// the scale is. Of a block with an infinity or a NaN the scale is NaN.
static inline Block quantise_block(const MemF32* from) {
  float x[abi::npu::kBlockElements];
  std::uint32_t largest = 0;  // magnitudes are ordered as their bits are, NaN above all
  for (unsigned i = 0; i < abi::npu::kBlockElements; ++i) {
    x[i] = from[i];
    const std::uint32_t magnitude = f32_to_bits(x[i]) & 0x7FFF'FFFFU;
    largest = magnitude > largest ? magnitude : largest;
  }
  Block block{};
  if (largest >= 0x7F80'0000U) {
    block.scale = static_cast<float>(kNan);
    return block;
  }
  block.scale = bits_to_f32(largest) / 127.0F;
  if (block.scale == 0) {
    return block;
  }
  for (unsigned i = 0; i < abi::npu::kBlockElements; ++i) {
    // More than 127 is possible where the scale is subnormal, and so was rounded by much.
    block.values[i] =
        static_cast<std::int8_t>(round_even(static_cast<double>(clamp(x[i] / block.scale, -127.0F, 127.0F))));
  }
  return block;
}

/// The sum of the products of a block with one of weights, exact.
template <Type kType>
[[gnu::always_inline]] static inline std::int32_t multiply_block(const Block& block, std::byte* weights) {
  constexpr unsigned kHalf = abi::npu::kBlockElements / 2;
  std::int32_t sum = 0;
  if constexpr (kType == Type::Q8_0) {
    for (unsigned i = 0; i < abi::npu::kBlockElements; ++i) {
      sum += block.values[i] * i8(weights)[i];
    }
  } else {
    for (unsigned i = 0; i < kHalf; ++i) {
      const int pair = u8(weights)[i];
      sum += block.values[i] * ((pair & 0xF) - 8) + block.values[i + kHalf] * ((pair >> 4) - 8);
    }
  }
  return sum;
}

}  // namespace npu
