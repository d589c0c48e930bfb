// Kernels that use the processor's vector instructions. Every set gives the same bytes: docs/npu.md, Vector kernels,
// fixes the order in which they add.
#pragma once

#include <array>
#include <cstddef>

#include "npu/kernels/kernels.hpp"

namespace npu {

/// The fastest set of this processor; scalar_kernels() where there is none for it. Any thread.
const KernelSet& simd_kernels();

/// All sets of vector kernels that this processor can run, the fastest first, then nulls: for tests that compare them.
std::array<const KernelSet*, 3> available_simd_kernels();

}  // namespace npu
