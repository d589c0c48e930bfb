#define NPU_SIMD_TARGET HWY_NEON
#include "set.hpp"
#include "sets.hpp"

namespace npu::simd {

namespace {

constexpr KernelSet kSet = make_set("neon");

}  // namespace

const KernelSet& neon_kernels() { return kSet; }

}  // namespace npu::simd
