// Sums of products of small integers, exact, with each target's own instructions: Highway 1.0.3 has none for them.
//
//            u8 x i8, four neighbours added      what is done about the signs of weights
//   AVX-512  vpdpbusd                            + 128, taken away from the sum later
//   AVX2     vpmaddubsw, then vpmaddwd           their magnitudes, times numbers with their signs
//   NEON     smull, smlal, sadalp (or sdot)      nothing: both are signed
#pragma once

#include "quantise.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Sums of 16 lanes: of row i and block j of a group in lane 4 j + i.
struct WideInt {
  IntPart part[kParts];
};

/// What was added to each weight before it was multiplied.
template <Type kType>
inline constexpr std::int32_t kWeightOffset = kType == Type::Q4_0 ? 8
                                              : kParts == 1       ? 128
                                                                  : 0;

template <Type kType>
inline constexpr std::uint64_t kBlockBytes = kType == Type::Q8_0 ? abi::npu::kQ8BlockBytes : abi::npu::kQ4BlockBytes;

#if HWY_TARGET == HWY_AVX3

// Highway's loads are of its own types; these take any address.
[[gnu::always_inline]] inline __m128i load_half(const std::byte* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from));
}
/// Values of two blocks.
[[gnu::always_inline]] inline __m512i load_pair(const std::byte* first, std::uint64_t next) {
  const auto low = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(first));
  const auto high = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(first + next));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/// Of one row: first halves of four blocks and last ones, as unsigned numbers.
struct Weights {
  __m512i half[2];
};

template <Type kType>
[[gnu::always_inline]] inline Weights load_weights(const std::byte* group) {
  constexpr std::uint64_t kNext = kBlockBytes<kType>;
  const std::byte* const values = group + sizeof(std::uint16_t);
  if constexpr (kType == Type::Q8_0) {
    const __m512i sign = _mm512_set1_epi8(-128);
    const __m512i a = load_pair(values, kNext);
    const __m512i b = load_pair(values + 2 * kNext, kNext);
    return {{_mm512_xor_si512(_mm512_shuffle_i64x2(a, b, 0b10'00'10'00), sign),
             _mm512_xor_si512(_mm512_shuffle_i64x2(a, b, 0b11'01'11'01), sign)}};
  } else {
    __m512i all = _mm512_castsi128_si512(load_half(values));
    all = _mm512_inserti32x4(all, load_half(values + kNext), 1);
    all = _mm512_inserti32x4(all, load_half(values + 2 * kNext), 2);
    all = _mm512_inserti32x4(all, load_half(values + 3 * kNext), 3);
    const __m512i nibble = _mm512_set1_epi8(0xF);
    return {{_mm512_and_si512(all, nibble), _mm512_and_si512(_mm512_srli_epi16(all, 4), nibble)}};
  }
}

/// In each 128-bit lane: 0 + 2 and 1 + 3 of both.
[[gnu::always_inline]] inline __m512i add_parts(__m512i a, __m512i b) {
  return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

/// Four f16 in each. Not by way of memory: a load of what several stores have just written waits for all of them.
[[gnu::always_inline]] inline Wide from_halves(const std::uint64_t (&four)[4]) {
  return {{FloatPart{
      _mm512_cvtph_ps(_mm256_set_epi64x(static_cast<long long>(four[3]), static_cast<long long>(four[2]),
                                        static_cast<long long>(four[1]), static_cast<long long>(four[0])))}}};
}

template <Type>
[[gnu::always_inline]] inline WideInt multiply_group(const Weights (&weights)[4], const BlockGroup& x) {
  const __m512i first = _mm512_load_si512(&x.values[0]);
  const __m512i last = _mm512_load_si512(&x.values[1]);
  __m512i row[4];
  unrolled<4>([&] [[gnu::always_inline]] (auto i) {
    const __m512i half = _mm512_dpbusd_epi32(_mm512_setzero_si512(), weights[i].half[0], first);
    row[i] = _mm512_dpbusd_epi32(half, weights[i].half[1], last);
  });
  const __m512i a = add_parts(row[0], row[1]);
  const __m512i b = add_parts(row[2], row[3]);
  const __m512i sums = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  return {{IntPart{sums}}};
}

#elif HWY_TARGET == HWY_AVX2

/// 16 bytes of two blocks.
[[gnu::always_inline]] inline __m256i load_pair(const std::byte* first, std::uint64_t next) {
  const auto low = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(first));
  const auto high = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(first + next));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/// Of one row: first halves of blocks 0 and 1, of 2 and 3, then the last ones.
struct Weights {
  __m256i half[2][2];
};

template <Type kType>
[[gnu::always_inline]] inline Weights load_weights(const std::byte* group) {
  constexpr std::uint64_t kNext = kBlockBytes<kType>;
  const std::byte* const values = group + sizeof(std::uint16_t);
  if constexpr (kType == Type::Q8_0) {
    return {{{load_pair(values, kNext), load_pair(values + 2 * kNext, kNext)},
             {load_pair(values + 16, kNext), load_pair(values + 2 * kNext + 16, kNext)}}};
  } else {
    const __m256i nibble = _mm256_set1_epi8(0xF);
    const __m256i a = load_pair(values, kNext);
    const __m256i b = load_pair(values + 2 * kNext, kNext);
    return {{{_mm256_and_si256(a, nibble), _mm256_and_si256(b, nibble)},
             {_mm256_and_si256(_mm256_srli_epi16(a, 4), nibble), _mm256_and_si256(_mm256_srli_epi16(b, 4), nibble)}}};
  }
}

template <Type kType>
[[gnu::always_inline]] inline __m256i multiply_bytes(__m256i weights, __m256i x) {
  // At most 2 * 128 * 127, so no pair saturates. Numbers are above -128: each can change its sign.
  const __m256i pairs = kType == Type::Q8_0
                            ? _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights))
                            : _mm256_maddubs_epi16(weights, x);
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

/// In each 128-bit lane: 0 + 2 and 1 + 3 of both.
[[gnu::always_inline]] inline __m256i add_parts(__m256i a, __m256i b) {
  return _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}

/// Four f16 in each. Not by way of memory: a load of what several stores have just written waits for all of them.
[[gnu::always_inline]] inline Wide from_halves(const std::uint64_t (&four)[4]) {
  return make_wide([&] [[gnu::always_inline]] (auto i) {
    return FloatPart{
        _mm256_cvtph_ps(_mm_set_epi64x(static_cast<long long>(four[2 * i + 1]), static_cast<long long>(four[2 * i])))};
  });
}

/// Of blocks 2 kPair and 2 kPair + 1.
template <Type kType, std::size_t kPair>
[[gnu::always_inline]] inline IntPart multiply_pair(const Weights (&weights)[4], const BlockGroup& x) {
  const auto first = _mm256_load_si256(reinterpret_cast<const __m256i*>(&x.values[0][2 * kPair]));
  const auto last = _mm256_load_si256(reinterpret_cast<const __m256i*>(&x.values[1][2 * kPair]));
  __m256i row[4];
  unrolled<4>([&] [[gnu::always_inline]] (auto i) {
    row[i] = _mm256_add_epi32(multiply_bytes<kType>(weights[i].half[0][kPair], first),
                              multiply_bytes<kType>(weights[i].half[1][kPair], last));
  });
  const __m256i a = add_parts(row[0], row[1]);
  const __m256i b = add_parts(row[2], row[3]);
  return IntPart{_mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b))};
}

template <Type kType>
[[gnu::always_inline]] inline WideInt multiply_group(const Weights (&weights)[4], const BlockGroup& x) {
  return {{multiply_pair<kType, 0>(weights, x), multiply_pair<kType, 1>(weights, x)}};
}

#elif HWY_TARGET == HWY_NEON

/// Of one row: first and last halves of the four blocks.
struct Weights {
  int8x16_t half[2][kGroup];
};

template <Type kType>
[[gnu::always_inline]] inline Weights load_weights(const std::byte* group) {
  Weights weights;
  unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) {
    const auto* const from =
        static_cast<const std::int8_t*>(static_cast<const void*>(group + j * kBlockBytes<kType> + 2));
    if constexpr (kType == Type::Q8_0) {
      weights.half[0][j] = vld1q_s8(from);
      weights.half[1][j] = vld1q_s8(from + 16);
    } else {
      const uint8x16_t pairs = vreinterpretq_u8_s8(vld1q_s8(from));
      weights.half[0][j] = vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(0xF)));
      weights.half[1][j] = vreinterpretq_s8_u8(vshrq_n_u8(pairs, 4));
    }
  });
  return weights;
}

/// Four f16 in each.
[[gnu::always_inline]] inline Wide from_halves(const std::uint64_t (&four)[4]) {
  return make_wide([&] [[gnu::always_inline]] (auto i) { return FloatPart(vcvt_f32_f16(vcreate_f16(four[i]))); });
}

/// Four parts of the sum of 16 products, each at most 128 * 127.
[[gnu::always_inline]] inline int32x4_t multiply_bytes(int32x4_t sum, int8x16_t weights, int8x16_t x) {
#if defined(NPU_SIMD_DOT_PRODUCTS)
  return vdotq_s32(sum, weights, x);
#else
  const int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(x));
  return vpadalq_s16(sum, vmlal_s8(low, vget_high_s8(weights), vget_high_s8(x)));
#endif
}

template <Type>
[[gnu::always_inline]] inline WideInt multiply_group(const Weights (&weights)[4], const BlockGroup& x) {
  WideInt sums;
  unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) {
    int32x4_t row[4];
    unrolled<4>([&] [[gnu::always_inline]] (auto i) {
      const int32x4_t half = multiply_bytes(vdupq_n_s32(0), weights[i].half[0][j], vld1q_s8(x.values[0][j]));
      row[i] = multiply_bytes(half, weights[i].half[1][j], vld1q_s8(x.values[1][j]));
    });
    sums.part[j] = IntPart(vpaddq_s32(vpaddq_s32(row[0], row[1]), vpaddq_s32(row[2], row[3])));
  });
  return sums;
}

#endif

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
