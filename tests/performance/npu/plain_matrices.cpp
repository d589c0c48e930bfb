#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "abi/npu_commands.hpp"
#include "blocks.hpp"
#include "quantised.hpp"
#include "rivals.hpp"

namespace npu_bench {
namespace {

namespace operand = abi::npu::operand;
namespace dim = abi::npu::dim;
using abi::npu::Type;
using npu::Checked;

template <typename T>
void multiply_real(const Checked& command) {
  const std::size_t rows = command.dims[dim::kRows], outer = command.dims[dim::kOuter];
  const std::size_t inner = command.dims[dim::kInner];
  for (std::size_t m = 0; m < rows; ++m) {
    const float* const x = elements<float>(command, operand::kInput) + m * inner;
    for (std::size_t n = 0; n < outer; ++n) {
      const T* const w = elements<T>(command, operand::kWeight) + n * inner;
      float sum = 0;
      for (std::size_t k = 0; k < inner; ++k) sum += x[k] * static_cast<float>(w[k]);
      elements<float>(command, operand::kOutput)[m * outer + n] = sum;
    }
  }
}

struct Input {
  float scale;
  std::int8_t values[abi::npu::kBlockElements];
};

std::vector<Input> quantised_row(const float* x, std::size_t blocks) {
  std::vector<Input> input(blocks);
  for (Input& block : input) {
    float largest = 0;
    for (unsigned i = 0; i < abi::npu::kBlockElements; ++i) largest = std::max(largest, std::abs(x[i]));
    block.scale = largest / 127;
    const float inverse = largest > 0 ? 127 / largest : 0;
    for (unsigned i = 0; i < abi::npu::kBlockElements; ++i) {
      block.values[i] = static_cast<std::int8_t>(std::nearbyint(x[i] * inverse));
    }
    x += abi::npu::kBlockElements;
  }
  return input;
}

template <typename Block>
void multiply_blocks(const Checked& command) {
  const std::size_t rows = command.dims[dim::kRows], outer = command.dims[dim::kOuter];
  const std::size_t blocks = command.dims[dim::kInner] / abi::npu::kBlockElements;
  for (std::size_t m = 0; m < rows; ++m) {
    const float* const x = elements<float>(command, operand::kInput) + m * blocks * abi::npu::kBlockElements;
    const std::vector<Input> input = quantised_row(x, blocks);
    for (std::size_t n = 0; n < outer; ++n) {
      const Block* const w = elements<Block>(command, operand::kWeight) + n * blocks;
      float sum = 0;
      for (std::size_t b = 0; b < blocks; ++b) {
        int products = 0;
        for (std::size_t i = 0; i < abi::npu::kBlockElements; ++i) products += input[b].values[i] * w[b].value(i);
        sum += input[b].scale * static_cast<float>(w[b].scale) * static_cast<float>(products);
      }
      elements<float>(command, operand::kOutput)[m * outer + n] = sum;
    }
  }
}

/// For each sum: to an i32 as it is, or to an i8.
template <typename Out>
void multiply_integers(const Checked& command) {
  const std::size_t rows = command.dims[dim::kRows], outer = command.dims[dim::kOuter];
  const std::size_t inner = command.dims[dim::kInner];
  const auto zero = static_cast<std::int32_t>(command.params[abi::npu::param::kZeroIn]);
  for (std::size_t m = 0; m < rows; ++m) {
    const std::int8_t* const x = elements<std::int8_t>(command, operand::kInput) + m * inner;
    for (std::size_t n = 0; n < outer; ++n) {
      const std::int8_t* const w = elements<std::int8_t>(command, operand::kWeight) + n * inner;
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < inner; ++k) sum += (x[k] - zero) * w[k];
      elements<Out>(command, operand::kOutput)[m * outer + n] = finish<Out>(command, sum, n);
    }
  }
}

template <typename T>
void attend(const Checked& command) {
  const auto& d = command.dims;
  const std::size_t heads = d[dim::attention::kQueryHeads], key_heads = d[dim::attention::kKeyHeads];
  const std::size_t size = d[dim::attention::kHeadElements];
  const auto scale = std::bit_cast<float>(command.params[abi::npu::param::kScale]);
  const T* const keys = elements<T>(command, operand::kKeys);
  const T* const values = elements<T>(command, operand::kValues);
  std::vector<float> scores(d[dim::kRows] + d[dim::attention::kPast]);
  for (std::size_t row = 0; row < d[dim::kRows] * heads; ++row) {  // a head of a row
    const float* const q = elements<float>(command, operand::kInput) + row * size;
    float* const out = elements<float>(command, operand::kOutput) + row * size;
    const std::size_t first = row % heads / (heads / key_heads) * size;
    const std::size_t seen = d[dim::attention::kPast] + row / heads + 1;
    float largest = -HUGE_VALF, total = 0;
    for (std::size_t t = 0; t < seen; ++t) {
      float sum = 0;
      for (std::size_t i = 0; i < size; ++i) {
        sum += q[i] * static_cast<float>(keys[t * key_heads * size + first + i]);
      }
      scores[t] = sum * scale;
      largest = std::max(largest, scores[t]);
    }
    for (std::size_t t = 0; t < seen; ++t) total += scores[t] = std::exp(scores[t] - largest);
    std::fill_n(out, size, 0.0F);
    for (std::size_t t = 0; t < seen; ++t) {
      for (std::size_t i = 0; i < size; ++i) {
        out[i] += scores[t] / total * static_cast<float>(values[t * key_heads * size + first + i]);
      }
    }
  }
}

}  // namespace

Run plain_matrices(const Checked& command) {
  if (command.opcode == abi::npu::Opcode::Attention) {
    return command.operands[operand::kKeys].type == Type::F32 ? attend<float> : attend<_Float16>;
  }
  if (command.opcode != abi::npu::Opcode::Gemm) return nullptr;
  switch (command.operands[operand::kWeight].type) {
    case Type::F32:
      return multiply_real<float>;
    case Type::F16:
      return multiply_real<_Float16>;
    case Type::Q8_0:
      return multiply_blocks<Q8Block>;
    case Type::Q4_0:
      return multiply_blocks<Q4Block>;
    default:
      break;
  }
  return command.operands[operand::kOutput].type == Type::I8 ? multiply_integers<std::int8_t>
                                                             : multiply_integers<std::int32_t>;
}

}  // namespace npu_bench
