// Whether operands share bytes.
#pragma once

#include "npu/stream/checked_command.hpp"

namespace npu {

/// Whether a byte of `a` may be one of `b`, both there. Exact for operands of one row stride, as columns of one matrix
/// are; else they overlap if the memory from first to last byte does.
bool overlap(const Operand& a, const Operand& b);

/// Whether both are the same elements in the same places.
bool is_same(const Operand& a, const Operand& b);

}  // namespace npu
