// ArgMax on f32.
#pragma once

#include "norm.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// The first element that equals `value`; 0 if there is none, as in a row of NaN.
inline std::int32_t find(const MemF32* x, std::uint64_t count, float value) {
  const Floats tag;
  const std::uint64_t whole = count - count % kPartLanes;
  for (std::uint64_t i = 0; i < whole; i += kPartLanes) {
    const std::intptr_t found = hn::FindFirstTrue(tag, hn::Eq(load_part(x + i), hn::Set(tag, value)));
    if (found >= 0) {
      return static_cast<std::int32_t>(i) + static_cast<std::int32_t>(found);
    }
  }
  for (std::uint64_t i = whole; i < count; ++i) {
    if (x[i] == value) {
      return static_cast<std::int32_t>(i);
    }
  }
  return 0;
}

Outcome arg_max(const Checked& command, Units units) {
  const Operand& input = command.operands[abi::npu::operand::kInput];
  if (input.type != Type::F32) {
    return scalar::arg_max(command, units);
  }
  const std::uint64_t count = command.dims[abi::npu::dim::kColumns];
  MemI32* const output = i32(command.operands[abi::npu::operand::kOutput].data);
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(input, row);
    output[row] = find(x, count, largest_of(x, count, 1));
  });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
