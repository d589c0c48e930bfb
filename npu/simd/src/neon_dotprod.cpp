#define NPU_SIMD_TARGET HWY_NEON
#define NPU_SIMD_DOT_PRODUCTS
#include "set.hpp"
#include "sets.hpp"

namespace npu::simd {

namespace {

constexpr KernelSet kSet = make_set("neon+dotprod");

}  // namespace

const KernelSet& neon_dotprod_kernels() { return kSet; }

}  // namespace npu::simd
