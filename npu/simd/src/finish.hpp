// What products have in common: where rows begin, and from sums to an f32 output.
#pragma once

#include "abi/npu_commands.hpp"
#include "wide.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Where the rows that are used at once begin. Behind the last one are copies of it, so that there are always as many.
template <unsigned kRows>
struct RowStarts {
  RowStarts() = default;
  RowStarts(const Operand& operand, std::uint64_t first, std::uint64_t count) {
    for (unsigned i = 0; i < kRows; ++i) {
      row[i] = row_of(operand, first + (i < count ? i : count - 1));
    }
  }
  std::byte* row[kRows];
};

/// Bias and limits.
struct FinishReal {
  explicit FinishReal(const Checked& command)
      : bias(command.operands[abi::npu::operand::kBias].data),
        clamps((command.flags & abi::npu::command_flag::kClamp) != 0),
        min(bits_to_f32(command.params[abi::npu::param::kMin])),
        max(bits_to_f32(command.params[abi::npu::param::kMax])) {}

  /// Writes the first `count`, at most 4, of the columns from `column` on to `to`, which is the first one's place.
  [[gnu::always_inline]] void write(FourFloats sums, std::uint64_t column, std::uint64_t count, MemF32* to) const {
    alignas(16) float some[4] = {};
    const float* from = bias != nullptr ? f32(bias) + column : nullptr;
    if (from != nullptr && count < 4) {
      for (std::uint64_t i = 0; i < count; ++i) {
        some[i] = from[i];
      }
      from = some;
    }
    const auto added = from != nullptr ? hn::Add(sums, hn::LoadU(Four(), from)) : sums;
    const auto value = canonical(Four(), clamps ? clamped(Four(), added, min, max) : added);
    if (count == 4) {
      hn::StoreU(value, Four(), to);
      return;
    }
    hn::Store(value, Four(), some);
    for (std::uint64_t i = 0; i < count; ++i) {
      to[i] = some[i];
    }
  }

  std::byte* bias;
  bool clamps;
  float min;
  float max;
};

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
