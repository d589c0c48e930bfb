// An input row as blocks of integers (docs/npu.md, Gemm), four blocks at a time.
#pragma once

#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

using abi::npu::kBlockElements;

/// Blocks that are multiplied at once.
inline constexpr unsigned kGroup = 4;

/// Four blocks. Halves of blocks lie as they meet weights: so a dot product of 16 bytes each leaves a block's sum in
/// one 128-bit lane, in four parts.
struct alignas(64) BlockGroup {
  std::int8_t values[2][kGroup][kBlockElements / 2];  ///< first halves of the four blocks, then last ones
  float scale[kGroup][4];                             ///< each one four times
  std::int32_t excess[kGroup][4];                     ///< sums of the values, times what weights are too large by
};

/// Element i of a block is part i / kPartLanes.
inline constexpr unsigned kBlockParts = kBlockElements / kPartLanes;

/// The same numbers as quantise_block() of the scalar kernels.
[[gnu::always_inline]] inline void quantise_block(const float* from, std::int32_t offset, BlockGroup& group,
                                                  unsigned at) {
  FloatPart x[kBlockParts];
  IntPart largest = hn::Zero(Ints());
  for (std::size_t i = 0; i < kBlockParts; ++i) {
    x[i] = hn::LoadU(Floats(), from + i * kPartLanes);
    // Magnitudes are ordered as their bits are, NaN above all.
    largest = hn::Max(largest, hn::And(hn::BitCast(Ints(), x[i]), hn::Set(Ints(), 0x7FFF'FFFF)));
  }
  const auto most = static_cast<std::uint32_t>(hn::GetLane(hn::MaxOfLanes(Ints(), largest)));
  float scale = bits_to_f32(most) / 127.0F;
  if (most >= 0x7F80'0000U) {
    scale = static_cast<float>(kNan);
  }
  const bool numbers = scale > 0;  // else all are 0
  IntPart sum = hn::Zero(Ints());
  for (unsigned i = 0; i < kBlockParts; ++i) {
    // More than 127 is possible where the scale is subnormal, and so was rounded by much.
    const auto ratio = hn::Div(x[i], hn::Set(Floats(), numbers ? scale : 1.0F));
    const auto bounded = hn::Min(hn::Max(ratio, hn::Set(Floats(), -127.0F)), hn::Set(Floats(), 127.0F));
    const IntPart value = numbers ? hn::NearestInt(bounded) : hn::Zero(Ints());
    sum = hn::Add(sum, value);
    const unsigned element = i * kPartLanes;
    hn::StoreU(hn::DemoteTo(Bytes(), value), Bytes(),
               &group.values[element / (kBlockElements / 2)][at][element % (kBlockElements / 2)]);
  }
  const std::int32_t excess = hn::GetLane(hn::SumOfLanes(Ints(), sum)) * offset;
  for (unsigned i = 0; i < 4; ++i) {
    group.scale[at][i] = scale;
    group.excess[at][i] = excess;
  }
}

/// The first `blocks` blocks of a row, in groups; what is missing in the last group is 0. `offset` is what weights are
/// too large by (kWeightOffset).
inline void quantise_row(const float* from, std::uint64_t blocks, std::int32_t offset, BlockGroup* groups) {
  for (std::uint64_t i = 0; i < blocks; ++i) {
    if (i % kGroup == 0) {
      groups[i / kGroup] = BlockGroup{};
    }
    quantise_block(from + i * kBlockElements, offset, groups[i / kGroup], i % kGroup);
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
