// The copies of weights that this target's kernels want (KernelSet::packing).
#pragma once

#include "gemm_packed.hpp"
#include "packed_integers.hpp"

#if HWY_TARGET == HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

std::uint64_t packed_bytes(const Checked& command) {
  const Operand& weight = command.operands[abi::npu::operand::kWeight];
  return packs_blocks(command)     ? packed_blocks_bytes(weight)
         : packs_integers(command) ? packed_integers_bytes(weight)
                                   : 0;
}

void pack(const Checked& command, std::byte* to) {
  const Operand& weight = command.operands[abi::npu::operand::kWeight];
  if (weight.type == Type::Q8_0) {
    pack_blocks(weight, to);
  } else {
    pack_integers(weight, to);
  }
}

inline constexpr Packing kPacking = {.bytes = packed_bytes, .pack = pack};

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();

#else

namespace npu::simd {
namespace {

inline constexpr Packing kPacking = {};

}  // namespace
}  // namespace npu::simd

#endif
