#include "overlap.hpp"

namespace npu {

namespace {

/// Operands may be in different regions, so addresses are compared as numbers.
std::uint64_t address(const Operand& operand) { return reinterpret_cast<std::uintptr_t>(operand.data); }

std::uint64_t end(const Operand& operand) {
  return address(operand) + (operand.rows - 1) * operand.row_stride + operand.row_bytes;
}

}  // namespace

bool overlap(const Operand& a, const Operand& b) {
  if (address(a) >= end(b) || address(b) >= end(a)) {
    return false;
  }
  if (a.row_stride != b.row_stride) {
    return true;
  }
  // Where b's columns begin among a's, both seen as columns of one matrix that goes on without end.
  const std::uint64_t stride = a.row_stride;
  const std::uint64_t shift = address(b) >= address(a) ? (address(b) - address(a)) % stride
                                                       : (stride - (address(a) - address(b)) % stride) % stride;
  return shift < a.row_bytes || shift + b.row_bytes > stride;
}

bool is_same(const Operand& a, const Operand& b) {
  return a.data == b.data && a.rows == b.rows && a.row_bytes == b.row_bytes && a.type == b.type &&
         (a.row_stride == b.row_stride || a.rows == 1);
}

}  // namespace npu
