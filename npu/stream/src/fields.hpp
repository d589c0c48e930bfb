// Where the fields of a command are, bytes from its start; for faults.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/npu.hpp"

namespace npu {

inline constexpr std::uint32_t kOpcodeField = offsetof(abi::npu::Command, opcode);
inline constexpr std::uint32_t kFlagsField = offsetof(abi::npu::Command, flags);
inline constexpr std::uint32_t kReservedField = offsetof(abi::npu::Command, reserved);

constexpr std::uint32_t type_field(unsigned operand) {
  return static_cast<std::uint32_t>(offsetof(abi::npu::Command, types)) + operand;
}
constexpr std::uint32_t operand_field(unsigned operand) {
  return static_cast<std::uint32_t>(offsetof(abi::npu::Command, operands) + operand * sizeof(abi::npu::TensorRef));
}
constexpr std::uint32_t region_field(unsigned operand) {
  return operand_field(operand) + static_cast<std::uint32_t>(offsetof(abi::npu::TensorRef, region));
}
constexpr std::uint32_t stride_field(unsigned operand) {
  return operand_field(operand) + static_cast<std::uint32_t>(offsetof(abi::npu::TensorRef, row_stride));
}
constexpr std::uint32_t dim_field(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(abi::npu::Command, dims) + index * sizeof(abi::Le32));
}
constexpr std::uint32_t param_field(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(abi::npu::Command, params) + index * sizeof(abi::Le32));
}

}  // namespace npu
