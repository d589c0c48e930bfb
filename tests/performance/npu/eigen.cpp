// Eigen multiplies on the caller's thread unless it is told to use more.
#include <Eigen/Core>

#include "abi/npu_commands.hpp"
#include "rivals.hpp"

namespace npu_bench {
namespace {

namespace operand = abi::npu::operand;
namespace dim = abi::npu::dim;
using abi::npu::Type;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void multiply_vector(const npu::Checked& command) {
  const Eigen::Index outer = command.dims[dim::kOuter];
  const Eigen::Index inner = command.dims[dim::kInner];
  Eigen::Map<Eigen::VectorXf> output(elements<float>(command, operand::kOutput), outer);
  const Eigen::Map<const Eigen::VectorXf> input(elements<float>(command, operand::kInput), inner);
  const Eigen::Map<const Matrix> weight(elements<float>(command, operand::kWeight), outer, inner);
  output.noalias() = weight * input;
}

void multiply_matrix(const npu::Checked& command) {
  const Eigen::Index rows = command.dims[dim::kRows];
  const Eigen::Index outer = command.dims[dim::kOuter];
  const Eigen::Index inner = command.dims[dim::kInner];
  Eigen::Map<Matrix> output(elements<float>(command, operand::kOutput), rows, outer);
  const Eigen::Map<const Matrix> input(elements<float>(command, operand::kInput), rows, inner);
  const Eigen::Map<const Matrix> weight(elements<float>(command, operand::kWeight), outer, inner);
  output.noalias() = input * weight.transpose();
}

}  // namespace

Run eigen(const npu::Checked& command) {
  if (command.opcode != abi::npu::Opcode::Gemm || command.operands[operand::kWeight].type != Type::F32) return nullptr;
  return command.dims[dim::kRows] == 1 ? multiply_vector : multiply_matrix;
}

}  // namespace npu_bench
