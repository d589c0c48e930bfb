// The sets that a build may have, each in a source file of its own.
#pragma once

#include "npu/kernels/kernels.hpp"

namespace npu::simd {

// x86-64. The caller has asked the processor first.
const KernelSet& avx3_kernels();  ///< AVX-512 with VNNI
const KernelSet& avx2_kernels();  ///< with FMA and F16C

// AArch64
const KernelSet& neon_kernels();
const KernelSet& neon_dotprod_kernels();  ///< Armv8.2 with FEAT_DotProd; not in the guest

}  // namespace npu::simd
