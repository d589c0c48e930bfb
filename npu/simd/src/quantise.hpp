// An input row as blocks of integers (docs/npu.md, Gemm), four blocks at a time.
#pragma once

#include "fold_integers.hpp"
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

/// Blocks of a group as integers.
struct GroupValues {
  IntPart value[kGroup][kBlockParts];
};

/// x / scale, to the nearest even integers; 0 where a scale is none or not above 0.
[[gnu::always_inline]] inline void divide_group(const float* from, const float (&scale)[kGroup], GroupValues& values) {
  for (unsigned j = 0; j < kGroup; ++j) {
    for (unsigned i = 0; i < kBlockParts; ++i) {
      const auto x = hn::LoadU(Floats(), from + j * kBlockElements + i * kPartLanes);
      // More than 127 is possible where the scale is subnormal, and so was rounded by much.
      const auto ratio = hn::Div(x, hn::Set(Floats(), scale[j] > 0 ? scale[j] : 1.0F));
      const auto bounded = hn::Min(hn::Max(ratio, hn::Set(Floats(), -127.0F)), hn::Set(Floats(), 127.0F));
      values.value[j][i] = scale[j] > 0 ? hn::NearestInt(bounded) : hn::Zero(Ints());
    }
  }
}

/// The same by a multiplication, which takes a tenth of a division's time. Its product and the ratio, each 127 at most,
/// are off by less than 2^-15 from each other, so they round to the same integer unless half of one is as near.
/// @param inverse 1 / scale, or 0 where all of a block are 0
/// @return false: they may not be the same
[[gnu::always_inline]] inline bool scale_group(const float* from, const float (&inverse)[kGroup], GroupValues& values) {
  auto farthest = hn::Zero(Floats());
  unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) {
    unrolled<kBlockParts>([&] [[gnu::always_inline]] (auto i) {
      const auto x = hn::LoadU(Floats(), from + j * kBlockElements + i * kPartLanes);
      const auto product = hn::Mul(x, hn::Set(Floats(), inverse[j]));
      values.value[j][i] = hn::NearestInt(product);
      farthest = hn::Max(farthest, hn::Abs(hn::Sub(product, hn::ConvertTo(Floats(), values.value[j][i]))));
    });
  });
  return hn::AllTrue(Floats(), hn::Lt(farthest, hn::Set(Floats(), 0.5F - 0x1p-15F)));
}

/// The largest magnitude of each block, as bits: they are ordered as the numbers are, NaN above all.
[[gnu::always_inline]] inline FourInts largest_of_group(const float* from) {
  const auto larger = [] [[gnu::always_inline]] (auto a, auto b) { return hn::Max(a, b); };
  IntPart largest[kGroup];
  unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) {
    largest[j] = hn::Zero(Ints());
    unrolled<kBlockParts>([&] [[gnu::always_inline]] (auto i) {
      const auto x = hn::BitCast(Ints(), hn::LoadU(Floats(), from + j * kBlockElements + i * kPartLanes));
      largest[j] = larger(largest[j], hn::And(x, hn::Set(Ints(), 0x7FFF'FFFF)));
    });
  });
  return fold_ints_with(larger, largest[0], largest[1], largest[2], largest[3]);
}

[[gnu::always_inline]] inline void store_values(const GroupValues& values, std::int32_t offset, BlockGroup& group) {
  IntPart sum[kGroup];
  unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) {
    sum[j] = hn::Zero(Ints());
    unrolled<kBlockParts>([&] [[gnu::always_inline]] (auto i) {
      constexpr unsigned kElement = i * kPartLanes;
      constexpr unsigned kHalf = kBlockElements / 2;
      hn::StoreU(hn::DemoteTo(Bytes(), values.value[j][i]), Bytes(),
                 &group.values[kElement / kHalf][j][kElement % kHalf]);
      sum[j] = hn::Add(sum[j], values.value[j][i]);
    });
  });
  const auto excess = hn::Mul(fold_ints(sum[0], sum[1], sum[2], sum[3]), hn::Set(FourI32(), offset));
  unrolled<kGroup>(
      [&] [[gnu::always_inline]] (auto j) { hn::Store(hn::Broadcast<j>(excess), FourI32(), group.excess[j]); });
}

/// The same numbers as quantise_block() of the scalar kernels, of four blocks.
[[gnu::always_inline]] inline void quantise_group(const float* from, std::int32_t offset, BlockGroup& group) {
  const auto most = largest_of_group(from);
  const auto zero = hn::Zero(Four());
  const auto least_normal = hn::Set(Four(), 0x1p-126F);
  const auto none =
      hn::MaskFromVec(hn::BitCast(Four(), hn::VecFromMask(FourI32(), hn::Gt(most, hn::Set(FourI32(), 0x7F7F'FFFF)))));
  const auto quotient = hn::Div(hn::BitCast(Four(), most), hn::Set(Four(), 127.0F));
  const auto scale = hn::IfThenElse(none, hn::Set(Four(), static_cast<float>(kNan)), quotient);
  const auto normal = hn::Ge(scale, least_normal);
  alignas(16) float scales[kGroup];
  alignas(16) float inverses[kGroup];
  hn::Store(scale, Four(), scales);
  hn::Store(hn::IfThenElseZero(normal, hn::Div(hn::Set(Four(), 1.0F), scale)), Four(), inverses);
  unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) { hn::Store(hn::Broadcast<j>(scale), Four(), group.scale[j]); });
  GroupValues values;
  const bool can_scale = hn::AllTrue(Four(), hn::Or(normal, hn::Eq(hn::BitCast(Four(), most), zero)));
  if (!can_scale || !scale_group(from, inverses, values)) {
    divide_group(from, scales, values);
  }
  store_values(values, offset, group);
}

/// The first `blocks` blocks of a row, in groups; what is missing in the last group is 0. `offset` is what weights are
/// too large by (kWeightOffset).
inline void quantise_row(const float* from, std::uint64_t blocks, std::int32_t offset, BlockGroup* groups) {
  const std::uint64_t whole = blocks / kGroup;
  for (std::uint64_t i = 0; i < whole; ++i) {
    quantise_group(from + i * kGroup * kBlockElements, offset, groups[i]);
  }
  if (blocks % kGroup != 0) {
    alignas(64) float some[kGroup * kBlockElements] = {};
    __builtin_memcpy(some, from + whole * kGroup * kBlockElements, blocks % kGroup * kBlockElements * sizeof(float));
    quantise_group(some, offset, groups[whole]);
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
