#include "sets.hpp"

#include "npu/simd/kernels.hpp"

#if defined(NPU_SIMD_HAS_DOT_PRODUCTS)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace npu {

namespace {

#if defined(__x86_64__)
/// What Highway's target of AVX2 lets the compiler use.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("f16c") != 0 && __builtin_cpu_supports("bmi") != 0 &&
         __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("aes") != 0 &&
         __builtin_cpu_supports("pclmul") != 0;
}

/// Likewise of AVX3, and VNNI.
bool has_avx3() {
  return has_avx2() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vnni") != 0;
}
#endif

}  // namespace

std::array<const KernelSet*, 3> available_simd_kernels() {
  std::array<const KernelSet*, 3> found{};
  [[maybe_unused]] std::size_t count = 0;
#if defined(__x86_64__)
  if (has_avx3()) {
    found[count++] = &simd::avx3_kernels();
  }
  if (has_avx2()) {
    found[count++] = &simd::avx2_kernels();
  }
#elif defined(__aarch64__)
#if defined(NPU_SIMD_HAS_DOT_PRODUCTS)
  // What the kernel told the process when it started: no system call.
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) {
    found[count++] = &simd::neon_dotprod_kernels();
  }
#endif
  found[count++] = &simd::neon_kernels();
#endif
  return found;
}

const KernelSet& simd_kernels() {
  const KernelSet* const best = available_simd_kernels()[0];
  return best != nullptr ? *best : scalar_kernels();
}

}  // namespace npu
