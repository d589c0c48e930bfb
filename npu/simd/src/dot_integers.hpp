// Dot products of i8, both signed, modulo 2^32.
#pragma once

#include "fold_integers.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

#if HWY_TARGET == HWY_AVX3

/// Elements that are multiplied at once.
inline constexpr unsigned kStep = 64;
/// What is added to each element of the first factor before it is multiplied: instructions take an unsigned one.
inline constexpr std::int32_t kFactorOffset = 128;

struct Factor {
  __m512i value;
};
[[gnu::always_inline]] inline Factor load_first(const MemI8* from) {
  return {_mm512_xor_si512(_mm512_loadu_si512(from), _mm512_set1_epi8(-128))};
}
[[gnu::always_inline]] inline Factor load_second(const MemI8* from) { return {_mm512_loadu_si512(from)}; }
[[gnu::always_inline]] inline IntPart add_products(IntPart sum, const Factor& first, const Factor& second) {
  return IntPart{_mm512_dpbusd_epi32(sum.raw, first.value, second.value)};
}
[[gnu::always_inline]] inline IntPart add_elements(IntPart sum, const Factor& second) {
  return IntPart{_mm512_dpbusd_epi32(sum.raw, _mm512_set1_epi8(1), second.value)};
}

/// The last `count` elements of a row, less than a step; behind them are zeros.
[[gnu::always_inline]] inline __m512i load_rest(const MemI8* from, std::uint64_t count) {
  return _mm512_maskz_loadu_epi8((std::uint64_t{1} << count) - 1, from);
}
[[gnu::always_inline]] inline Factor load_last_first(const MemI8* from, std::uint64_t count) {
  return {_mm512_xor_si512(load_rest(from, count), _mm512_set1_epi8(-128))};
}
[[gnu::always_inline]] inline Factor load_last_second(const MemI8* from, std::uint64_t count) {
  return {load_rest(from, count)};
}

#elif HWY_TARGET == HWY_AVX2

inline constexpr unsigned kStep = 16;
inline constexpr std::int32_t kFactorOffset = 0;

/// As i16: pairs of products of i8 might saturate, or need an unsigned factor.
struct Factor {
  __m256i value;
};
[[gnu::always_inline]] inline Factor load_first(const MemI8* from) {
  return {_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from)))};
}
[[gnu::always_inline]] inline Factor load_second(const MemI8* from) { return load_first(from); }
[[gnu::always_inline]] inline IntPart add_products(IntPart sum, const Factor& first, const Factor& second) {
  return IntPart{_mm256_add_epi32(sum.raw, _mm256_madd_epi16(first.value, second.value))};
}
[[gnu::always_inline]] inline IntPart add_elements(IntPart sum, const Factor& second) {
  return IntPart{_mm256_add_epi32(sum.raw, _mm256_madd_epi16(_mm256_set1_epi16(1), second.value))};
}

#elif HWY_TARGET == HWY_NEON

inline constexpr unsigned kStep = 16;
inline constexpr std::int32_t kFactorOffset = 0;

struct Factor {
  int8x16_t value;
};
[[gnu::always_inline]] inline Factor load_first(const MemI8* from) { return {vld1q_s8(from)}; }
[[gnu::always_inline]] inline Factor load_second(const MemI8* from) { return load_first(from); }
[[gnu::always_inline]] inline IntPart add_products(IntPart sum, const Factor& first, const Factor& second) {
#if defined(NPU_SIMD_DOT_PRODUCTS)
  return IntPart(vdotq_s32(sum.raw, first.value, second.value));
#else
  // Two products of -128 by itself do not fit i16.
  const int16x8_t low = vmull_s8(vget_low_s8(first.value), vget_low_s8(second.value));
  const int16x8_t high = vmull_s8(vget_high_s8(first.value), vget_high_s8(second.value));
  return IntPart(vpadalq_s16(vpadalq_s16(sum.raw, low), high));
#endif
}
[[gnu::always_inline]] inline IntPart add_elements(IntPart sum, const Factor& second) {
  return IntPart(vpadalq_s16(sum.raw, vpaddlq_s8(second.value)));
}

#endif

#if HWY_TARGET != HWY_AVX3

/// The last elements of a row, less than a step, with zeros behind them.
struct LastStep {
  LastStep(const MemI8* from, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      bytes[i] = from[i];
    }
  }
  alignas(64) std::int8_t bytes[kStep] = {};
};

[[gnu::always_inline]] inline Factor load_last_first(const MemI8* from, std::uint64_t count) {
  return load_first(LastStep(from, count).bytes);
}
[[gnu::always_inline]] inline Factor load_last_second(const MemI8* from, std::uint64_t count) {
  return load_second(LastStep(from, count).bytes);
}

#endif

/// `sum` and the sums of `count` elements, in any lanes.
[[gnu::always_inline]] inline IntPart add_all(IntPart sum, const MemI8* from, std::uint64_t count) {
  const std::uint64_t whole = count - count % kStep;
  for (std::uint64_t k = 0; k < whole; k += kStep) {
    sum = add_elements(sum, load_second(from + k));
  }
  return whole != count ? add_elements(sum, load_last_second(from + whole, count - whole)) : sum;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
