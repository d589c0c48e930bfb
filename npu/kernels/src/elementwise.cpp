#include "abi/npu_commands.hpp"
#include "npu/kernels/element.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
namespace param = abi::npu::param;

/// y = function(x) for each element, in binary64, rounded once.
template <typename Function>
Outcome each_element(const Checked& command, Units units, Function&& function) {
  each_row(command, units, [&](std::uint64_t row, std::uint64_t begin, std::uint64_t end) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    MemF32* const y = f32_row(command.operands[operand::kOutput], row);
    for (std::uint64_t i = begin; i < end; ++i) {
      y[i] = static_cast<float>(function(static_cast<double>(x[i])));
    }
  });
  return std::nullopt;
}

/// y = function(a, b) for each pair, likewise. With kBroadcastRow b is the same for every row.
template <typename Function>
Outcome each_pair(const Checked& command, Units units, Function&& function) {
  const bool clamps = (command.flags & abi::npu::command_flag::kClamp) != 0;
  const bool one_row = (command.flags & abi::npu::command_flag::kBroadcastRow) != 0;
  const float min = bits_to_f32(command.params[param::kMin]);
  const float max = bits_to_f32(command.params[param::kMax]);
  each_row(command, units, [&](std::uint64_t row, std::uint64_t begin, std::uint64_t end) {
    const MemF32* const a = f32_row(command.operands[operand::kInput], row);
    const MemF32* const b = f32_row(command.operands[operand::kOther], one_row ? 0 : row);
    MemF32* const y = f32_row(command.operands[operand::kOutput], row);
    for (std::uint64_t i = begin; i < end; ++i) {
      const auto value = static_cast<float>(function(static_cast<double>(a[i]), static_cast<double>(b[i])));
      y[i] = clamps ? clamp(value, min, max) : value;
    }
  });
  return std::nullopt;
}

}  // namespace

Outcome swiglu(const Checked& command, Units units) {
  return each_pair(command, units, [](double a, double b) { return npu::silu(a) * b; });
}

Outcome silu(const Checked& command, Units units) {
  return each_element(command, units, [](double x) { return npu::silu(x); });
}

Outcome gelu(const Checked& command, Units units) {
  return each_element(command, units, [](double x) { return npu::gelu(x); });
}

Outcome relu(const Checked& command, Units units) {
  return each_element(command, units, [](double x) { return x < 0 ? 0 : x; });
}

Outcome add(const Checked& command, Units units) {
  return each_pair(command, units, [](double a, double b) { return a + b; });
}

Outcome mul(const Checked& command, Units units) {
  return each_pair(command, units, [](double a, double b) { return a * b; });
}

Outcome scale(const Checked& command, Units units) {
  const auto factor = static_cast<double>(bits_to_f32(command.params[param::kScale]));
  const auto offset = static_cast<double>(bits_to_f32(command.params[param::kOffset]));
  return each_element(command, units, [=](double x) { return x * factor + offset; });
}

}  // namespace npu::scalar
