// Integers as TFLite quantises them: from a sum of products to an i8 (docs/npu.md, Requantisation). The same as
// gemmlowp's SaturatingRoundingDoublingHighMul and RoundingDivideByPOT, where these are defined.
#pragma once

#include "abi/npu_commands.hpp"
#include "npu/kernels/element.hpp"

namespace npu {

static inline std::int32_t saturate_i32(std::int64_t value) {
  constexpr std::int64_t kMax = 0x7FFF'FFFF;
  return static_cast<std::int32_t>(value > kMax ? kMax : value < -kMax - 1 ? -kMax - 1 : value);
}

/// (a b + 2^30) / 2^31, or with - for a product below 0; the division cuts off.
static inline std::int32_t doubling_high_multiply(std::int32_t a, std::int32_t b) {
  const std::int64_t product = std::int64_t{a} * b;
  constexpr std::int64_t kHalf = std::int64_t{1} << 30;
  return saturate_i32((product + (product >= 0 ? kHalf : 1 - kHalf)) / (std::int64_t{1} << 31));
}

/// value / 2^exponent to the nearest, ties away from 0. `exponent` is 0 to 31.
static inline std::int32_t rounding_divide(std::int32_t value, int exponent) {
  const std::int64_t mask = (std::int64_t{1} << exponent) - 1;
  const std::int64_t remainder = value & mask;
  const std::int64_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);
  return (value >> exponent) + (remainder > threshold ? 1 : 0);
}

/// value * multiplier / 2^31 * 2^shift. A shift beyond -31 to 30 counts as the nearest of these.
static inline std::int32_t multiply_quantised(std::int32_t value, std::int32_t multiplier, std::int32_t shift) {
  const int bounded = shift < -31 ? -31 : shift > 30 ? 30 : shift;
  const int left = bounded > 0 ? bounded : 0;
  const std::int32_t shifted = saturate_i32(std::int64_t{value} * (std::int64_t{1} << left));
  return rounding_divide(doubling_high_multiply(shifted, multiplier), left - bounded);
}

/// From sums to elements of an i8 output.
struct Requantise {
  explicit Requantise(const Checked& command)
      : multipliers(i32(command.operands[abi::npu::operand::kMultipliers].data)),
        shifts(i32(command.operands[abi::npu::operand::kShifts].data)),
        per_tensor((command.flags & abi::npu::command_flag::kPerTensor) != 0),
        zero(static_cast<std::int32_t>(command.params[abi::npu::param::kZeroOut])),
        min(static_cast<std::int32_t>(command.params[abi::npu::param::kMin])),
        max(static_cast<std::int32_t>(command.params[abi::npu::param::kMax])) {}

  [[gnu::always_inline]] std::int8_t operator()(std::int32_t sum, std::uint64_t channel) const {
    const std::uint64_t index = per_tensor ? 0 : channel;
    const std::int64_t value = std::int64_t{multiply_quantised(sum, multipliers[index], shifts[index])} + zero;
    return static_cast<std::int8_t>(value < min ? min : value > max ? max : value);
  }

  const MemI32* multipliers;
  const MemI32* shifts;
  bool per_tensor;
  std::int32_t zero;
  std::int32_t min;
  std::int32_t max;
};

}  // namespace npu
