// Rope: angles in binary64 by the scalar functions, turns in f32.
#pragma once

#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Pairs whose angles are known at a time.
inline constexpr std::uint64_t kTurns = 64;

struct Turns {
  alignas(64) float cosine[kTurns];
  alignas(64) float sine[kTurns];
};

/// (a, b) becomes (a cos - b sin, a sin + b cos).
[[gnu::always_inline]] inline void turn(FloatPart& a, FloatPart& b, FloatPart cosine, FloatPart sine) {
  const auto first = hn::MulSub(a, cosine, hn::Mul(b, sine));
  b = hn::MulAdd(a, sine, hn::Mul(b, cosine));
  a = first;
}

/// Pairs (a[i], b[i]), in place of which y has their places.
struct SplitPairs {
  const MemF32* x;
  MemF32* y;
  std::uint64_t half;  ///< from an element to its partner
};
inline void turn_split(const SplitPairs& pairs, const Turns& turns, std::uint64_t count) {
  const std::uint64_t whole = count - count % kPartLanes;
  for (std::uint64_t i = 0; i < whole; i += kPartLanes) {
    auto a = load_part(pairs.x + i);
    auto b = load_part(pairs.x + pairs.half + i);
    turn(a, b, hn::Load(Floats(), turns.cosine + i), hn::Load(Floats(), turns.sine + i));
    store_part(a, pairs.y + i);
    store_part(b, pairs.y + pairs.half + i);
  }
  if (whole != count) {
    const std::uint64_t some = count - whole;
    auto a = load_part(pairs.x + whole, some);
    auto b = load_part(pairs.x + pairs.half + whole, some);
    turn(a, b, hn::Load(Floats(), turns.cosine + whole), hn::Load(Floats(), turns.sine + whole));
    store_part(a, pairs.y + whole, some);
    store_part(b, pairs.y + pairs.half + whole, some);
  }
}

/// Pairs (x[2 i], x[2 i + 1]).
inline void turn_neighbours(const MemF32* x, MemF32* y, const Turns& turns, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; i += kPartLanes) {
    const std::uint64_t some = count - i < kPartLanes ? count - i : kPartLanes;
    alignas(64) float first[kPartLanes] = {};
    alignas(64) float second[kPartLanes] = {};
    for (std::uint64_t j = 0; j < some; ++j) {
      first[j] = x[2 * (i + j)];
      second[j] = x[2 * (i + j) + 1];
    }
    auto a = hn::Load(Floats(), first);
    auto b = hn::Load(Floats(), second);
    turn(a, b, hn::Load(Floats(), turns.cosine + i), hn::Load(Floats(), turns.sine + i));
    hn::Store(canonical(Floats(), a), Floats(), first);
    hn::Store(canonical(Floats(), b), Floats(), second);
    for (std::uint64_t j = 0; j < some; ++j) {
      y[2 * (i + j)] = first[j];
      y[2 * (i + j) + 1] = second[j];
    }
  }
}

Outcome rope(const Checked& command, Units units) {
  namespace operand = abi::npu::operand;
  namespace dim = abi::npu::dim::rope;
  const std::uint64_t heads = command.dims[dim::kHeads];
  const std::uint64_t elements = command.dims[dim::kHeadElements];
  const std::uint64_t pairs = command.dims[dim::kRotated] / 2;
  const bool split = (command.flags & abi::npu::command_flag::kHalfSplit) != 0;
  const double base = logarithm(static_cast<double>(bits_to_f32(command.params[abi::npu::param::kRopeBase])));
  const auto scale = static_cast<double>(bits_to_f32(command.params[abi::npu::param::kFrequencyScale]));
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    MemF32* const y = f32_row(command.operands[operand::kOutput], row);
    const double position = i32(command.operands[operand::kPositions].data)[row];
    for (std::uint64_t begin = 0; begin < pairs; begin += kTurns) {
      const std::uint64_t count = pairs - begin < kTurns ? pairs - begin : kTurns;
      Turns turns = {};
      for (std::uint64_t i = 0; i < count; ++i) {
        const double part = static_cast<double>(begin + i) / static_cast<double>(pairs);
        const SineCosine angle = sine_cosine(position * scale * npu::exponential(-part * base));
        turns.cosine[i] = static_cast<float>(angle.cosine);
        turns.sine[i] = static_cast<float>(angle.sine);
      }
      for (std::uint64_t head = 0; head < heads; ++head) {
        if (split) {
          const std::uint64_t first = head * elements + begin;
          turn_split({x + first, y + first, pairs}, turns, count);
        } else {
          turn_neighbours(x + head * elements + 2 * begin, y + head * elements + 2 * begin, turns, count);
        }
      }
    }
    for (std::uint64_t head = 0; head < heads && 2 * pairs < elements; ++head) {
      for (std::uint64_t i = 2 * pairs; i < elements; ++i) {
        y[head * elements + i] = x[head * elements + i];
      }
    }
  });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
