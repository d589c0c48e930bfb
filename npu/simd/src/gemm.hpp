// Gemm by the types of its operands.
#pragma once

#include "gemm_blocks.hpp"
#include "gemm_integers.hpp"
#include "gemm_packed.hpp"
#include "gemm_real.hpp"
#include "packed_integers.hpp"
#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

void multiply(const Checked& command, const Tile& tile) {
  if (command.operands[abi::npu::operand::kOutput].type != Type::F32) {
#if HWY_TARGET == HWY_AVX3
    if (is_packed(command, tile)) {
      return multiply_packed_integers(command, tile);
    }
#endif
    return multiply_integers(command, tile);
  }
  switch (command.operands[abi::npu::operand::kWeight].type) {
    case Type::F16:
      return multiply_real<Type::F16>(command, tile);
    case Type::Q8_0:
#if HWY_TARGET == HWY_AVX3
      if (is_packed(command, tile)) {
        return multiply_packed(command, tile);
      }
#endif
      return multiply_blocks<Type::Q8_0>(command, tile);
    case Type::Q4_0:
      return multiply_blocks<Type::Q4_0>(command, tile);
    default:
      return multiply_real<Type::F32>(command, tile);
  }
}

Outcome gemm(const Checked& command, Units units) {
  each_run(command, units, [&] [[gnu::always_inline]] (const Tile& tile) { multiply(command, tile); });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
