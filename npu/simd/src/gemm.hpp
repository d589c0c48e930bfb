// Gemm by the types of its operands.
#pragma once

#include "gemm_real.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

using scalar::Outcome;

Outcome gemm(const Checked& command, Units units) {
  if (command.operands[abi::npu::operand::kOutput].type != Type::F32) {
    return scalar::gemm(command, units);
  }
  const Type weight = command.operands[abi::npu::operand::kWeight].type;
  const Partition grid = partition(command);
  for (std::uint64_t unit = units.first; unit < units.first + units.count; ++unit) {
    const Tile tile = tile_of(grid, unit);
    switch (weight) {
      case Type::F32:
        multiply_real<Type::F32>(command, tile);
        break;
      case Type::F16:
        multiply_real<Type::F16>(command, tile);
        break;
      default:
        return scalar::gemm(command, units);
    }
  }
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
