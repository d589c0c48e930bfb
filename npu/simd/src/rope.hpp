// Rope: angles in binary64 with the scalar kernel's bits, turns in f32.
#pragma once

#include "angle.hpp"
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
  const std::uint64_t whole = count - count % kPartLanes;
  const auto turn_at = [&] [[gnu::always_inline]] (const MemF32* from, MemF32* to, std::uint64_t i) {
    FloatPart a;
    FloatPart b;
    hn::LoadInterleaved2(Floats(), from, a, b);
    turn(a, b, hn::Load(Floats(), turns.cosine + i), hn::Load(Floats(), turns.sine + i));
    hn::StoreInterleaved2(canonical(Floats(), a), canonical(Floats(), b), Floats(), to);
  };
  for (std::uint64_t i = 0; i < whole; i += kPartLanes) {
    turn_at(x + 2 * i, y + 2 * i, i);
  }
  if (whole != count) {
    alignas(64) float some[2 * kPartLanes] = {};
    for (std::uint64_t i = 0; i < 2 * (count - whole); ++i) {
      some[i] = x[2 * whole + i];
    }
    turn_at(some, some, whole);
    for (std::uint64_t i = 0; i < 2 * (count - whole); ++i) {
      y[2 * whole + i] = some[i];
    }
  }
}

/// What angles are made of.
struct Angles {
  explicit Angles(const Checked& command)
      : base(logarithm(static_cast<double>(bits_to_f32(command.params[abi::npu::param::kRopeBase])))),
        scale(static_cast<double>(bits_to_f32(command.params[abi::npu::param::kFrequencyScale]))),
        pairs(command.dims[abi::npu::dim::rope::kRotated] / 2) {}

  double base;
  double scale;
  std::uint64_t pairs;
};

/// Of some pairs what positions are multiplied by: the same for all rows.
struct Frequencies {
  /// Pairs [begin, begin + kTurns); what is behind the last one is any number.
  Frequencies(const Angles& angles, std::uint64_t begin) {
    for (std::uint64_t i = 0; i < kTurns; i += kDoubleLanes) {
      const auto index = hn::Iota(Doubles(), static_cast<double>(begin + i));
      const auto part = hn::Div(index, hn::Set(Doubles(), static_cast<double>(angles.pairs)));
      hn::Store(exponential(hn::Mul(hn::Neg(part), hn::Set(Doubles(), angles.base))), Doubles(), frequency + i);
    }
  }
  alignas(64) double frequency[kTurns];
};

inline void find_turns(const Frequencies& of, double factor, std::uint64_t count, Turns& turns) {
  for (std::uint64_t i = 0; i < count; i += kDoubleLanes) {
    const auto angle = hn::Mul(hn::Set(Doubles(), factor), hn::Load(Doubles(), of.frequency + i));
    const SineCosinePart found = sine_cosine(angle);
    hn::Store(hn::DemoteTo(FewFloats(), found.cosine), FewFloats(), turns.cosine + i);
    hn::Store(hn::DemoteTo(FewFloats(), found.sine), FewFloats(), turns.sine + i);
  }
}

/// Pairs [begin, begin + count) of all heads of a row.
inline void turn_row(const Checked& command, std::uint64_t row, std::uint64_t begin, std::uint64_t count,
                     const Turns& turns) {
  namespace operand = abi::npu::operand;
  namespace dim = abi::npu::dim::rope;
  const std::uint64_t elements = command.dims[dim::kHeadElements];
  const std::uint64_t pairs = command.dims[dim::kRotated] / 2;
  const MemF32* const x = f32_row(command.operands[operand::kInput], row);
  MemF32* const y = f32_row(command.operands[operand::kOutput], row);
  const bool split = (command.flags & abi::npu::command_flag::kHalfSplit) != 0;
  for (std::uint64_t head = 0; head < command.dims[dim::kHeads]; ++head) {
    if (split) {
      const std::uint64_t first = head * elements + begin;
      turn_split({x + first, y + first, pairs}, turns, count);
    } else {
      turn_neighbours(x + head * elements + 2 * begin, y + head * elements + 2 * begin, turns, count);
    }
  }
}

/// What is not turned of the heads of a row.
inline void copy_unturned(const Checked& command, std::uint64_t row) {
  namespace operand = abi::npu::operand;
  namespace dim = abi::npu::dim::rope;
  const std::uint64_t elements = command.dims[dim::kHeadElements];
  const std::uint64_t turned = command.dims[dim::kRotated];
  const MemF32* const x = f32_row(command.operands[operand::kInput], row);
  MemF32* const y = f32_row(command.operands[operand::kOutput], row);
  for (std::uint64_t head = 0; head < command.dims[dim::kHeads] && turned < elements; ++head) {
    for (std::uint64_t i = turned; i < elements; ++i) {
      y[head * elements + i] = x[head * elements + i];
    }
  }
}

Outcome rope(const Checked& command, Units units) {
  const Angles angles(command);
  const MemI32* const positions = i32(command.operands[abi::npu::operand::kPositions].data);
  each_run(command, units, [&] [[gnu::always_inline]] (const Tile& tile) {
    for (std::uint64_t begin = 0; begin < angles.pairs; begin += kTurns) {
      const std::uint64_t count = angles.pairs - begin < kTurns ? angles.pairs - begin : kTurns;
      const Frequencies frequencies(angles, begin);
      for (std::uint64_t row = tile.row_begin; row < tile.row_end; ++row) {
        Turns turns;
        find_turns(frequencies, static_cast<double>(positions[row]) * angles.scale, count, turns);
        turn_row(command, row, begin, count, turns);
      }
    }
    for (std::uint64_t row = tile.row_begin; row < tile.row_end; ++row) {
      copy_unturned(command, row);
    }
  });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
