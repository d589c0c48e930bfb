#include "abi/npu_commands.hpp"
#include "npu/kernels/element.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
using abi::npu::dim::kColumns;

/// Of an optional row; `otherwise` where there is none.
double at(const Operand& row, std::uint64_t index, double otherwise) {
  return row.data != nullptr ? static_cast<double>(f32(row.data)[index]) : otherwise;
}

double parameter(const Checked& command, unsigned index) {
  return static_cast<double>(bits_to_f32(command.params[index]));
}

/// The row as (x - centre) * factor * weight + bias.
void write_row(const Checked& command, std::uint64_t row, double centre, double factor) {
  const MemF32* const x = f32_row(command.operands[operand::kInput], row);
  MemF32* const y = f32_row(command.operands[operand::kOutput], row);
  for (std::uint64_t i = 0; i < command.dims[kColumns]; ++i) {
    const double weight = at(command.operands[operand::kWeight], i, 1);
    const double bias = at(command.operands[operand::kBias], i, 0);
    y[i] = static_cast<float>((static_cast<double>(x[i]) - centre) * factor * weight + bias);
  }
}

/// The mean of (x - centre)^2.
double mean_square(const MemF32* x, std::uint64_t count, double centre) {
  double sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double away = static_cast<double>(x[i]) - centre;
    sum += away * away;
  }
  return sum / static_cast<double>(count);
}

}  // namespace

Outcome rms_norm(const Checked& command, Units units) {
  each_row(command, units, [&](std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    const double square = mean_square(x, command.dims[kColumns], 0);
    write_row(command, row, 0, 1 / __builtin_sqrt(square + parameter(command, abi::npu::param::kEpsilon)));
  });
  return std::nullopt;
}

Outcome layer_norm(const Checked& command, Units units) {
  each_row(command, units, [&](std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    double mean = 0;
    for (std::uint64_t i = 0; i < command.dims[kColumns]; ++i) {
      mean += static_cast<double>(x[i]);
    }
    mean /= static_cast<double>(command.dims[kColumns]);
    const double variance = mean_square(x, command.dims[kColumns], mean);
    write_row(command, row, mean, 1 / __builtin_sqrt(variance + parameter(command, abi::npu::param::kEpsilon)));
  });
  return std::nullopt;
}

Outcome softmax(const Checked& command, Units units) {
  const double scale = parameter(command, abi::npu::param::kScale);
  const std::uint64_t count = command.dims[kColumns];
  each_row(command, units, [&](std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    MemF32* const y = f32_row(command.operands[operand::kOutput], row);
    double largest = -kInfinity;
    for (std::uint64_t i = 0; i < count; ++i) {
      const double value = static_cast<double>(x[i]) * scale;
      largest = value > largest ? value : largest;
    }
    double sum = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      sum += exponential(static_cast<double>(x[i]) * scale - largest);
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      y[i] = static_cast<float>(exponential(static_cast<double>(x[i]) * scale - largest) / sum);
    }
  });
  return std::nullopt;
}

}  // namespace npu::scalar
