// Sixteen lanes, in as many vectors as the target needs for them: what the order of additions is defined with
// (docs/npu.md, Vector kernels). AVX-512 has them in one vector, AVX2 in two, NEON in four.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "npu/kernels/element.hpp"
#include "npu/kernels/kernels.hpp"
#include "npu/kernels/scalar.hpp"
#include "target.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Lanes of a Wide.
inline constexpr unsigned kLanes = 16;
using Floats = hn::CappedTag<float, kLanes>;
using Ints = hn::RebindToSigned<Floats>;
using Halves = hn::Rebind<hwy::float16_t, Floats>;
using FloatPart = hn::Vec<Floats>;
using IntPart = hn::Vec<Ints>;
inline constexpr unsigned kPartLanes = HWY_LANES(float) < kLanes ? HWY_LANES(float) : kLanes;
inline constexpr unsigned kParts = kLanes / kPartLanes;

using Doubles = hn::CappedTag<double, kLanes / 2>;
using DoublePart = hn::Vec<Doubles>;
/// As many f32 as a vector of binary64 has.
using FewFloats = hn::Rebind<float, Doubles>;
inline constexpr unsigned kDoubleLanes = kPartLanes / 2;
inline constexpr unsigned kDoubleParts = kLanes / kDoubleLanes;

using Four = hn::FixedTag<float, 4>;
using FourFloats = hn::Vec<Four>;

/// Part i has lanes i * kPartLanes on.
struct Wide {
  FloatPart part[kParts];
};

template <typename Function, unsigned... kIndex>
[[gnu::always_inline]] inline void unrolled(Function&& function, std::integer_sequence<unsigned, kIndex...>) {
  (function(std::integral_constant<unsigned, kIndex>{}), ...);
}
/// Calls function(0), function(1), ... with constants.
template <unsigned kCount, typename Function>
[[gnu::always_inline]] inline void unrolled(Function&& function) {
  unrolled(function, std::make_integer_sequence<unsigned, kCount>{});
}

/// A Wide whose part i is function(i).
template <typename Function, unsigned... kIndex>
[[gnu::always_inline]] inline Wide make_wide(Function&& function, std::integer_sequence<unsigned, kIndex...>) {
  return {{function(std::integral_constant<unsigned, kIndex>{})...}};
}
template <typename Function>
[[gnu::always_inline]] inline Wide make_wide(Function&& function) {
  return make_wide(function, std::make_integer_sequence<unsigned, kParts>{});
}

[[gnu::always_inline]] inline Wide wide_zero() {
  return make_wide([] [[gnu::always_inline]] (auto) { return hn::Zero(Floats()); });
}

/// a * b + c, rounded once.
[[gnu::always_inline]] inline Wide fused(const Wide& a, const Wide& b, const Wide& c) {
  return make_wide([&] [[gnu::always_inline]] (auto i) { return hn::MulAdd(a.part[i], b.part[i], c.part[i]); });
}

/// Elements [index, index + 16) of a row of f32 or f16.
template <Type kType>
[[gnu::always_inline]] inline Wide load_wide(std::byte* row, std::uint64_t index) {
  if constexpr (kType == Type::F16) {
    // Highway's name of the same bits.
    const auto* const from = static_cast<const hwy::float16_t*>(__builtin_assume_aligned(row, 2)) + index;
    return make_wide([&] [[gnu::always_inline]] (auto i) {
      return hn::PromoteTo(Floats(), hn::LoadU(Halves(), from + i * kPartLanes));
    });
  } else {
    const float* const from = f32(row) + index;
    return make_wide([&] [[gnu::always_inline]] (auto i) { return hn::LoadU(Floats(), from + i * kPartLanes); });
  }
}

/// Elements [index, index + count), count below 16; 0 in the lanes behind them.
template <Type kType>
[[gnu::noinline]] inline Wide load_some(std::byte* row, std::uint64_t index, std::uint64_t count) {
  constexpr std::uint64_t kBytes = kType == Type::F16 ? sizeof(std::uint16_t) : sizeof(float);
  alignas(64) std::byte copy[kLanes * kBytes] = {};
  for (std::uint64_t i = 0; i < count * kBytes; ++i) {
    copy[i] = row[index * kBytes + i];
  }
  return load_wide<kType>(copy, 0);
}

/// Lane i + lane i + 8, then + 4: what is left to add are four lanes.
/// A template, so that what is for other targets is not looked at.
template <typename Sum>
[[gnu::always_inline]] inline FourFloats fold_to_four(const Sum& sum) {
  if constexpr (kParts == 4) {
    return hn::Add(hn::Add(sum.part[0], sum.part[2]), hn::Add(sum.part[1], sum.part[3]));
  } else if constexpr (kParts == 2) {
    const auto eight = hn::Add(sum.part[0], sum.part[1]);
    return hn::Add(hn::LowerHalf(Four(), eight), hn::UpperHalf(Four(), eight));
  } else {
    const hn::Half<Floats> half;
    const auto eight = hn::Add(hn::LowerHalf(half, sum.part[0]), hn::UpperHalf(half, sum.part[0]));
    return hn::Add(hn::LowerHalf(Four(), eight), hn::UpperHalf(Four(), eight));
  }
}

/// The sums of four Wides' lanes, folded in halves: lane i + lane i + 8, then + 4, then + 2, then + 1.
#if HWY_TARGET == HWY_AVX3
// Two sums, then four, share a vector: half the instructions.
[[gnu::always_inline]] inline __m512 fold_pair(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0b01'00'01'00), _mm512_shuffle_f32x4(a, b, 0b11'10'11'10));
}
[[gnu::always_inline]] inline FourFloats fold(const Wide& a, const Wide& b, const Wide& c, const Wide& d) {
  const __m512 ab = fold_pair(a.part[0].raw, b.part[0].raw);  // eight lanes of each
  const __m512 cd = fold_pair(c.part[0].raw, d.part[0].raw);
  const __m512 four =
      _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0b10'00'10'00), _mm512_shuffle_f32x4(ab, cd, 0b11'01'11'01));
  const __m512 two = _mm512_add_ps(four, _mm512_permute_ps(four, 0b01'00'11'10));
  const __m512 one = _mm512_add_ps(two, _mm512_permute_ps(two, 0b10'11'00'01));
  const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  return FourFloats{_mm512_castps512_ps128(_mm512_permutexvar_ps(first, one))};
}
#else
[[gnu::always_inline]] inline FourFloats fold(const Wide& a, const Wide& b, const Wide& c, const Wide& d) {
  const FourFloats four[] = {fold_to_four(a), fold_to_four(b), fold_to_four(c), fold_to_four(d)};
  const auto ab =
      hn::Add(hn::ConcatLowerLower(Four(), four[1], four[0]), hn::ConcatUpperUpper(Four(), four[1], four[0]));
  const auto cd =
      hn::Add(hn::ConcatLowerLower(Four(), four[3], four[2]), hn::ConcatUpperUpper(Four(), four[3], four[2]));
  return hn::Add(hn::ConcatEven(Four(), cd, ab), hn::ConcatOdd(Four(), cd, ab));
}
#endif

/// The one NaN that vector kernels write: which one an instruction makes differs between processors.
template <class Tag>
[[gnu::always_inline]] inline hn::Vec<Tag> canonical(Tag tag, hn::Vec<Tag> value) {
  return hn::IfThenElse(hn::Eq(value, value), value, hn::Set(tag, static_cast<float>(kNan)));
}

/// NaN stays.
template <class Tag>
[[gnu::always_inline]] inline hn::Vec<Tag> clamped(Tag tag, hn::Vec<Tag> value, float min, float max) {
  const auto low = hn::Set(tag, min);
  const auto high = hn::Set(tag, max);
  return hn::IfThenElse(hn::Lt(value, low), low, hn::IfThenElse(hn::Gt(value, high), high, value));
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
