#define NPU_SIMD_TARGET HWY_AVX2
#include "set.hpp"
#include "sets.hpp"

namespace npu::simd {

namespace {

constexpr KernelSet kSet = make_set("avx2");

}  // namespace

const KernelSet& avx2_kernels() { return kSet; }

}  // namespace npu::simd
