// Commands that look at each element alone.
#pragma once

#include "exponential.hpp"
#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// y = function(x).
template <typename Function>
[[gnu::always_inline]] inline Outcome each_element(const Checked& command, Units units, Function&& function) {
  namespace operand = abi::npu::operand;
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t begin, std::uint64_t end) {
    map(f32_row(command.operands[operand::kInput], row) + begin,
        f32_row(command.operands[operand::kOutput], row) + begin, end - begin, function);
  });
  return std::nullopt;
}

/// y = function(a, b). With kBroadcastRow b is the same for every row.
template <typename Function>
[[gnu::always_inline]] inline Outcome each_pair(const Checked& command, Units units, Function&& function) {
  namespace operand = abi::npu::operand;
  const bool one_row = (command.flags & abi::npu::command_flag::kBroadcastRow) != 0;
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t begin, std::uint64_t end) {
    map(f32_row(command.operands[operand::kInput], row) + begin,
        f32_row(command.operands[operand::kOther], one_row ? 0 : row) + begin,
        f32_row(command.operands[operand::kOutput], row) + begin, end - begin, function);
  });
  return std::nullopt;
}

/// Limits of Add and Mul.
struct Limits {
  explicit Limits(const Checked& command)
      : clamps((command.flags & abi::npu::command_flag::kClamp) != 0),
        min(bits_to_f32(command.params[abi::npu::param::kMin])),
        max(bits_to_f32(command.params[abi::npu::param::kMax])) {}
  [[gnu::always_inline]] FloatPart operator()(FloatPart value) const {
    return clamps ? clamped(Floats(), value, min, max) : value;
  }
  bool clamps;
  float min;
  float max;
};

Outcome swiglu(const Checked& command, Units units) {
  return each_pair(command, units, [] [[gnu::always_inline]] (FloatPart a, FloatPart b) { return gated(a, a, b); });
}

Outcome silu(const Checked& command, Units units) {
  return each_element(command, units,
                      [] [[gnu::always_inline]] (FloatPart x) { return gated(x, x, hn::Set(Floats(), 1)); });
}

Outcome gelu(const Checked& command, Units units) {
  // 2 u = 2 sqrt(2 / pi) (x + 0.044715 x^3)
  return each_element(command, units, [] [[gnu::always_inline]] (FloatPart x) {
    const auto factor = hn::MulAdd(hn::Mul(x, x), hn::Set(Floats(), 0x1.2444f2p-4F), hn::Set(Floats(), 0x1.988454p+0F));
    return gated(x, hn::Mul(x, factor), hn::Set(Floats(), 1));
  });
}

Outcome relu(const Checked& command, Units units) {
  return each_element(command, units, [] [[gnu::always_inline]] (FloatPart x) {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(Floats())), x);
  });
}

Outcome add(const Checked& command, Units units) {
  const Limits limits(command);
  return each_pair(command, units,
                   [&] [[gnu::always_inline]] (FloatPart a, FloatPart b) { return limits(hn::Add(a, b)); });
}

Outcome mul(const Checked& command, Units units) {
  const Limits limits(command);
  return each_pair(command, units,
                   [&] [[gnu::always_inline]] (FloatPart a, FloatPart b) { return limits(hn::Mul(a, b)); });
}

Outcome scale(const Checked& command, Units units) {
  const float factor = bits_to_f32(command.params[abi::npu::param::kScale]);
  const float offset = bits_to_f32(command.params[abi::npu::param::kOffset]);
  return each_element(command, units, [=] [[gnu::always_inline]] (FloatPart x) {
    return hn::MulAdd(x, hn::Set(Floats(), factor), hn::Set(Floats(), offset));
  });
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
