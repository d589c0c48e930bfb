#include "abi/npu_commands.hpp"
#include "blocks.hpp"
#include "npu/kernels/requantise.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
namespace param = abi::npu::param;
using abi::npu::kBlockElements;
using abi::npu::dim::kInner;

/// Sum, bias and limits of an f32 output.
struct Finish {
  explicit Finish(const Checked& command)
      : bias(command.operands[operand::kBias].data),
        clamps((command.flags & abi::npu::command_flag::kClamp) != 0),
        min(bits_to_f32(command.params[param::kMin])),
        max(bits_to_f32(command.params[param::kMax])) {}

  float operator()(double sum, std::uint64_t column) const {
    const auto value = static_cast<float>(bias != nullptr ? sum + static_cast<double>(f32(bias)[column]) : sum);
    return clamps ? clamp(value, min, max) : value;
  }

  std::byte* bias;
  bool clamps;
  float min;
  float max;
};

template <Type kType>
void multiply_real(const Checked& command, Units units) {
  const Finish finish(command);
  each_cell(command, units, [&](std::uint64_t row, std::uint64_t column) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    std::byte* const weights = row_of(command.operands[operand::kWeight], column);
    double sum = 0;
    for (std::uint64_t k = 0; k < command.dims[kInner]; ++k) {
      sum += static_cast<double>(x[k]) * static_cast<double>(element<kType>(weights, k));
    }
    f32_row(command.operands[operand::kOutput], row)[column] = finish(sum, column);
  });
}

/// Columns whose sums are kept while a row's blocks are quantised, each once.
constexpr std::uint64_t kColumns = 64;

template <Type kType>
void multiply_row(const Checked& command, std::uint64_t row, std::uint64_t begin, std::uint64_t count, double* sums) {
  constexpr std::uint64_t kBytes = kType == Type::Q8_0 ? abi::npu::kQ8BlockBytes : abi::npu::kQ4BlockBytes;
  const MemF32* const x = f32_row(command.operands[operand::kInput], row);
  for (std::uint64_t i = 0; i < count; ++i) {
    sums[i] = 0;
  }
  for (std::uint64_t b = 0; b < command.dims[kInner] / kBlockElements; ++b) {
    const Block block = quantise_block(x + b * kBlockElements);
    for (std::uint64_t i = 0; i < count; ++i) {
      std::byte* const weights = row_of(command.operands[operand::kWeight], begin + i) + b * kBytes;
      const double scale = static_cast<double>(f16_to_f32(*u16(weights))) * static_cast<double>(block.scale);
      sums[i] += scale * multiply_block<kType>(block, weights + sizeof(std::uint16_t));
    }
  }
}

template <Type kType>
void multiply_blocks(const Checked& command, Units units) {
  const Finish finish(command);
  each_row(command, units, [&](std::uint64_t row, std::uint64_t first, std::uint64_t last) {
    double sums[kColumns];
    for (std::uint64_t begin = first; begin < last; begin += kColumns) {
      const std::uint64_t count = last - begin < kColumns ? last - begin : kColumns;
      multiply_row<kType>(command, row, begin, count, sums);
      for (std::uint64_t i = 0; i < count; ++i) {
        f32_row(command.operands[operand::kOutput], row)[begin + i] = finish(sums[i], begin + i);
      }
    }
  });
}

/// Modulo 2^32.
std::int32_t multiply_integers(const Checked& command, std::uint64_t row, std::uint64_t column) {
  const MemI8* const x = i8(row_of(command.operands[operand::kInput], row));
  const MemI8* const weights = i8(row_of(command.operands[operand::kWeight], column));
  std::byte* const bias = command.operands[operand::kBias].data;
  const auto zero = static_cast<std::int32_t>(command.params[param::kZeroIn]);
  std::uint32_t sum = bias != nullptr ? static_cast<std::uint32_t>(i32(bias)[column]) : 0;
  for (std::uint64_t k = 0; k < command.dims[kInner]; ++k) {
    sum += static_cast<std::uint32_t>((x[k] - zero) * weights[k]);
  }
  return static_cast<std::int32_t>(sum);
}

}  // namespace

Outcome gemm(const Checked& command, Units units) {
  const Operand& output = command.operands[operand::kOutput];
  switch (output.type) {
    case Type::I32:
      each_cell(command, units, [&](std::uint64_t row, std::uint64_t column) {
        i32(row_of(output, row))[column] = multiply_integers(command, row, column);
      });
      return std::nullopt;
    case Type::I8: {
      const Requantise requantise(command);
      each_cell(command, units, [&](std::uint64_t row, std::uint64_t column) {
        i8(row_of(output, row))[column] = requantise(multiply_integers(command, row, column), column);
      });
      return std::nullopt;
    }
    default:
      break;
  }
  with_type(command.operands[operand::kWeight].type, [&]<Type kType>() {
    if constexpr (kType == Type::F32 || kType == Type::F16) {
      multiply_real<kType>(command, units);
    } else {
      multiply_blocks<kType>(command, units);
    }
  });
  return std::nullopt;
}

}  // namespace npu::scalar
