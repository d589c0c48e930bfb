#define NPU_SIMD_TARGET HWY_AVX3
#include "set.hpp"
#include "sets.hpp"

namespace npu::simd {

namespace {

constexpr KernelSet kSet = make_set("avx3");

}  // namespace

const KernelSet& avx3_kernels() { return kSet; }

}  // namespace npu::simd
