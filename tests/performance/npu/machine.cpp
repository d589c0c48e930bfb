#include "machine.hpp"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

namespace npu_bench {
namespace {

using Clock = std::chrono::steady_clock;

/// Chains of operations that do not wait for each other: two multipliers with 5 cycles from operand to result want 10.
constexpr unsigned kChains = 12;

/// Makes the compiler believe that a value is used.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");  // no instruction: it only looks as if it read the value
}
/// A value that the compiler does not know, so that it cannot compute with it beforehand.
template <typename T>
T unknown(T value) {
  asm volatile("" : "+r"(value));  // no instruction: it only looks as if it changed the value
  return value;
}

/// Of a step of a stream.
constexpr unsigned kLoads = 8;
/// Several streams side by side, each with what will be needed asked for in advance, read memory and the outer caches
/// much faster than one stream does: 29 instead of 14 GB/s where this was tried.
constexpr std::size_t kStreams = 4;
constexpr std::size_t kAheadBytes = 1024;
constexpr std::size_t kLineBytes = 64;

/// Asks for what follows a step of a stream.
template <std::size_t kStep>
[[gnu::always_inline]] inline void ask_ahead(const std::byte* from) {
#pragma GCC unroll 8
  for (std::size_t line = 0; line < kStep; line += kLineBytes) __builtin_prefetch(from + kAheadBytes + line);
}

#if defined(__x86_64__)

__attribute__((target("avx512f"))) void fma_512(std::uint64_t count) {
  const __m512 a = _mm512_set1_ps(unknown(0.5F));
  const __m512 b = _mm512_set1_ps(unknown(1.0F));
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = b;
  for (; count != 0; --count) {
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, a, b);
  }
  for (const __m512& sum : sums) keep(sum);
}

__attribute__((target("avx2,fma"))) void fma_256(std::uint64_t count) {
  const __m256 a = _mm256_set1_ps(unknown(0.5F));
  const __m256 b = _mm256_set1_ps(unknown(1.0F));
  __m256 sums[kChains];
  for (__m256& sum : sums) sum = b;
  for (; count != 0; --count) {
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, a, b);
  }
  for (const __m256& sum : sums) keep(sum);
}

__attribute__((target("avx512f,avx512vnni"))) void dot_512(std::uint64_t count) {
  const __m512i a = _mm512_set1_epi32(unknown(0x01020304));
  const __m512i b = _mm512_set1_epi32(unknown(0x7F017F01));
  __m512i sums[kChains];
  for (__m512i& sum : sums) sum = b;
  for (; count != 0; --count) {
#pragma GCC unroll 12
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
  }
  for (const __m512i& sum : sums) keep(sum);
}

__attribute__((target("avx2,avxvnni"))) void dot_256(std::uint64_t count) {
  const __m256i a = _mm256_set1_epi32(unknown(0x01020304));
  const __m256i b = _mm256_set1_epi32(unknown(0x7F017F01));
  __m256i sums[kChains];
  for (__m256i& sum : sums) sum = b;
  for (; count != 0; --count) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) sum = _mm256_dpbusd_avx_epi32(sum, a, b);
  }
  for (const __m256i& sum : sums) keep(sum);
}

/// Without a dot product: pairs of bytes to i16, pairs of those to i32, and the sum.
__attribute__((target("avx2"))) void maddubs_256(std::uint64_t count) {
  const __m256i a = _mm256_set1_epi32(unknown(0x01020304));
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[kChains];
  for (__m256i& sum : sums) sum = a;
  for (; count != 0; --count) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      // The sum goes in, since the same product each time would be computed once.
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, sum), ones));
    }
  }
  for (const __m256i& sum : sums) keep(sum);
}

__attribute__((target("avx512f"))) void read_512(std::span<const std::byte> bytes) {
  __m512i sums[kLoads];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  const std::size_t part = bytes.size() / kStreams;
  for (std::size_t offset = 0; offset < part; offset += sizeof(sums)) {
    for (std::size_t stream = 0; stream < kStreams; ++stream) {
      const std::byte* const from = bytes.data() + stream * part + offset;
      ask_ahead<sizeof(sums)>(from);
#pragma GCC unroll 8
      for (unsigned i = 0; i < kLoads; ++i) {
        sums[i] = _mm512_add_epi64(sums[i], _mm512_loadu_si512(from + i * sizeof(__m512i)));
      }
    }
  }
  for (const __m512i& sum : sums) keep(sum);
}

__attribute__((target("avx2"))) void read_256(std::span<const std::byte> bytes) {
  __m256i sums[kLoads];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  const std::size_t part = bytes.size() / kStreams;
  for (std::size_t offset = 0; offset < part; offset += sizeof(sums)) {
    for (std::size_t stream = 0; stream < kStreams; ++stream) {
      const std::byte* const from = bytes.data() + stream * part + offset;
      ask_ahead<sizeof(sums)>(from);
#pragma GCC unroll 8
      for (unsigned i = 0; i < kLoads; ++i) {
        // Any address will do for an unaligned load: the type is the intrinsic's, not that of what lies there.
        const auto* const lane = reinterpret_cast<const __m256i_u*>(from + i * sizeof(__m256i));
        sums[i] = _mm256_add_epi64(sums[i], _mm256_loadu_si256(lane));
      }
    }
  }
  for (const __m256i& sum : sums) keep(sum);
}

#elif defined(__aarch64__)

void fma_neon(std::uint64_t count) {
  const float32x4_t a = vdupq_n_f32(0.5F);
  const float32x4_t b = vdupq_n_f32(1.0F);
  float32x4_t sums[kChains];
  for (float32x4_t& sum : sums) sum = b;
  for (; count != 0; --count) {
#pragma GCC unroll 12
    for (float32x4_t& sum : sums) sum = vfmaq_f32(b, sum, a);
  }
  for (const float32x4_t& sum : sums) keep(sum);
}

__attribute__((target("+dotprod"))) void dot_neon(std::uint64_t count) {
  const int8x16_t a = vdupq_n_s8(static_cast<std::int8_t>(unknown(3)));
  int32x4_t sums[kChains];
  for (int32x4_t& sum : sums) sum = vdupq_n_s32(1);
  for (; count != 0; --count) {
#pragma GCC unroll 12
    for (int32x4_t& sum : sums) sum = vdotq_s32(sum, a, a);
  }
  for (const int32x4_t& sum : sums) keep(sum);
}

/// Without a dot product: products to i16, pairs of those added to i32.
void pairs_neon(std::uint64_t count) {
  const int8x8_t a = vdup_n_s8(static_cast<std::int8_t>(unknown(3)));
  int32x4_t sums[kChains];
  for (int32x4_t& sum : sums) sum = vdupq_n_s32(1);
  for (; count != 0; --count) {
#pragma GCC unroll 12
    for (int32x4_t& sum : sums) {
      // The sum goes in, since the same product each time would be computed once.
      sum = vpadalq_s16(sum, vmull_s8(a, vreinterpret_s8_s32(vget_low_s32(sum))));
    }
  }
  for (const int32x4_t& sum : sums) keep(sum);
}

void read_neon(std::span<const std::byte> bytes) {
  uint8x16_t sums[kLoads];
  for (uint8x16_t& sum : sums) sum = vdupq_n_u8(0);
  const std::size_t part = bytes.size() / kStreams;
  for (std::size_t offset = 0; offset < part; offset += sizeof(sums)) {
    for (std::size_t stream = 0; stream < kStreams; ++stream) {
      const std::byte* const from = bytes.data() + stream * part + offset;
      ask_ahead<sizeof(sums)>(from);
#pragma GCC unroll 8
      for (unsigned i = 0; i < kLoads; ++i) {
        // A load of bytes reads any object.
        const auto* const lane = reinterpret_cast<const std::uint8_t*>(from + i * sizeof(uint8x16_t));
        sums[i] = vaddq_u8(sums[i], vld1q_u8(lane));
      }
    }
  }
  for (const uint8x16_t& sum : sums) keep(sum);
}

bool has_dot_product() {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
  return true;  // every Mac with this processor
#endif
}

#endif

}  // namespace

#if defined(__x86_64__)

Peak f32_peak() {
  if (__builtin_cpu_supports("avx512f")) return {"vfmadd213ps zmm", kChains * 16 * 2, fma_512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {"vfmadd213ps ymm", kChains * 8 * 2, fma_256};
  }
  return {};
}

Peak i8_peak() {
  if (__builtin_cpu_supports("avx512vnni")) return {"vpdpbusd zmm", kChains * 64 * 2, dot_512};
  if (__builtin_cpu_supports("avxvnni")) return {"vpdpbusd ymm", kChains * 32 * 2, dot_256};
  if (__builtin_cpu_supports("avx2")) return {"vpmaddubsw, vpmaddwd, vpaddd ymm", kChains * 32 * 2, maddubs_256};
  return {};
}

Reader reader() {
  if (__builtin_cpu_supports("avx512f")) return {"vpaddq zmm", read_512, kStreams * kLoads * sizeof(__m512i)};
  if (__builtin_cpu_supports("avx2")) return {"vpaddq ymm", read_256, kStreams * kLoads * sizeof(__m256i)};
  return {};
}

#elif defined(__aarch64__)

Peak f32_peak() { return {"fmla v.4s", kChains * 4 * 2, fma_neon}; }

Peak i8_peak() {
  if (has_dot_product()) return {"sdot v.4s", kChains * 16 * 2, dot_neon};
  return {"smull, sadalp v.8h", kChains * 8 * 2, pairs_neon};
}

Reader reader() { return {"add v.16b", read_neon, kStreams * kLoads * sizeof(uint8x16_t)}; }

#else

Peak f32_peak() { return {}; }
Peak i8_peak() { return {}; }
Reader reader() { return {}; }

#endif

std::uint64_t run_together(unsigned threads, const std::function<void(unsigned)>& work) {
  std::barrier start(threads);
  std::vector<Clock::time_point> began(threads), ended(threads);
  const auto take_part = [&](unsigned index) {
    start.arrive_and_wait();
    began[index] = Clock::now();
    work(index);
    ended[index] = Clock::now();
  };
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < threads; ++i) others.emplace_back(take_part, i);
    take_part(0);
  }
  const auto time = *std::ranges::max_element(ended) - *std::ranges::min_element(began);
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
}

std::uint64_t clock_resolution_ns() {
  auto least = Clock::duration::max();
  for (int i = 0; i < 1000; ++i) {
    const auto first = Clock::now();
    auto next = Clock::now();
    while (next == first) next = Clock::now();
    least = std::min(least, next - first);
  }
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(least).count());
}

}  // namespace npu_bench
