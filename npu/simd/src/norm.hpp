// Norms and softmax. Sums of norms are binary64, so that no square is too large or too small; element i goes to lane i
// mod 16 of them, as everywhere.
#pragma once

#include "exponential.hpp"
#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Elements [index, index + kDoubleLanes) of `count`; 0 behind them.
[[gnu::always_inline]] inline DoublePart load_doubles(const MemF32* from, std::uint64_t index, std::uint64_t count) {
  if (index + kDoubleLanes <= count) {
    return hn::PromoteTo(Doubles(), hn::LoadU(FewFloats(), from + index));
  }
  alignas(32) float some[kDoubleLanes];
  for (unsigned i = 0; i < kDoubleLanes; ++i) {
    some[i] = index + i < count ? from[index + i] : 0;
  }
  return hn::PromoteTo(Doubles(), hn::Load(FewFloats(), some));
}

/// 16 lanes of binary64.
struct WideSum {
  DoublePart part[kDoubleParts];

  /// Folded in halves.
  double fold() const {
    alignas(64) double lane[kLanes];
    for (std::size_t i = 0; i < kDoubleParts; ++i) {
      hn::Store(part[i], Doubles(), lane + i * kDoubleLanes);
    }
    for (unsigned half = kLanes / 2; half > 0; half /= 2) {
      for (unsigned i = 0; i < half; ++i) {
        lane[i] += lane[i + half];
      }
    }
    return lane[0];
  }
};

/// The sum of what `add` adds of each element, where it adds nothing of 0.
template <typename Add>
[[gnu::always_inline]] inline double sum_row(const MemF32* x, std::uint64_t count, Add&& add) {
  WideSum sum;
  unrolled<kDoubleParts>([&] [[gnu::always_inline]] (auto i) { sum.part[i] = hn::Zero(Doubles()); });
  for (std::uint64_t k = 0; k < count; k += kLanes) {
    unrolled<kDoubleParts>([&] [[gnu::always_inline]] (auto i) {
      const std::uint64_t index = k + i * kDoubleLanes;
      sum.part[i] = add(sum.part[i], load_doubles(x, index, count), index);
    });
  }
  return sum.fold();
}

/// The row as (x - centre) * factor * weight + bias, rounded once.
inline void write_norm(const Checked& command, std::uint64_t row, double centre, double factor) {
  namespace operand = abi::npu::operand;
  const MemF32* const x = f32_row(command.operands[operand::kInput], row);
  MemF32* const y = f32_row(command.operands[operand::kOutput], row);
  std::byte* const weight = command.operands[operand::kWeight].data;
  std::byte* const bias =
      command.opcode == abi::npu::Opcode::LayerNorm ? command.operands[operand::kBias].data : nullptr;
  const std::uint64_t count = command.dims[abi::npu::dim::kColumns];
  for (std::uint64_t i = 0; i < count; i += kDoubleLanes) {
    auto value = hn::Mul(hn::Sub(load_doubles(x, i, count), hn::Set(Doubles(), centre)), hn::Set(Doubles(), factor));
    if (weight != nullptr) {
      value = hn::Mul(value, load_doubles(f32(weight), i, count));
    }
    if (bias != nullptr) {
      value = hn::Add(value, load_doubles(f32(bias), i, count));
    }
    const auto rounded = canonical(FewFloats(), hn::DemoteTo(FewFloats(), value));
    if (i + kDoubleLanes <= count) {
      hn::StoreU(rounded, FewFloats(), y + i);
      continue;
    }
    alignas(32) float some[kDoubleLanes];
    hn::Store(rounded, FewFloats(), some);
    for (std::uint64_t j = i; j < count; ++j) {
      y[j] = some[j - i];
    }
  }
}

/// The mean of (x - centre)^2.
inline double mean_square(const MemF32* x, std::uint64_t count, double centre) {
  const double sum =
      sum_row(x, count, [&] [[gnu::always_inline]] (DoublePart total, DoublePart value, std::uint64_t index) {
        auto away = hn::Sub(value, hn::Set(Doubles(), centre));
        if (index + kDoubleLanes > count) {
          away = hn::IfThenElseZero(hn::FirstN(Doubles(), index < count ? count - index : 0), away);
        }
        return hn::MulAdd(away, away, total);
      });
  return sum / static_cast<double>(count);
}

Outcome rms_norm(const Checked& command, Units units) {
  const auto epsilon = static_cast<double>(bits_to_f32(command.params[abi::npu::param::kEpsilon]));
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[abi::npu::operand::kInput], row);
    const double square = mean_square(x, command.dims[abi::npu::dim::kColumns], 0);
    write_norm(command, row, 0, 1 / __builtin_sqrt(square + epsilon));
  });
  return std::nullopt;
}

Outcome layer_norm(const Checked& command, Units units) {
  const auto epsilon = static_cast<double>(bits_to_f32(command.params[abi::npu::param::kEpsilon]));
  const std::uint64_t count = command.dims[abi::npu::dim::kColumns];
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[abi::npu::operand::kInput], row);
    const double sum = sum_row(x, count, [] [[gnu::always_inline]] (DoublePart total, DoublePart value, std::uint64_t) {
      return hn::Add(total, value);
    });
    const double mean = sum / static_cast<double>(count);
    write_norm(command, row, mean, 1 / __builtin_sqrt(mean_square(x, count, mean) + epsilon));
  });
  return std::nullopt;
}

/// The largest x * scale of a row; NaN is none.
inline float largest_of(const MemF32* x, std::uint64_t count, float scale) {
  const Floats tag;
  const auto factor = hn::Set(tag, scale);
  auto largest = hn::Set(tag, static_cast<float>(-kInfinity));
  const std::uint64_t whole = count - count % kPartLanes;
  for (std::uint64_t i = 0; i < whole; i += kPartLanes) {
    const auto value = hn::Mul(load_part(x + i), factor);
    largest = hn::IfThenElse(hn::Gt(value, largest), value, largest);
  }
  alignas(64) float lane[kPartLanes];
  hn::Store(largest, tag, lane);
  float result = lane[0];
  for (unsigned i = 1; i < kPartLanes; ++i) {
    result = lane[i] > result ? lane[i] : result;
  }
  for (std::uint64_t i = whole; i < count; ++i) {
    const float value = x[i] * scale;
    result = value > result ? value : result;
  }
  return result;
}

inline void softmax_row(const MemF32* x, MemF32* y, std::uint64_t count, float scale) {
  const Floats tag;
  const float largest = largest_of(x, count, scale);
  const auto weigh = [&] [[gnu::always_inline]] (FloatPart value) {
    return exponential(hn::MulSub(value, hn::Set(tag, scale), hn::Set(tag, largest)));
  };
  Wide sum = wide_zero();
  const std::uint64_t whole = count - count % kLanes;
  for (std::uint64_t k = 0; k < whole; k += kLanes) {
    unrolled<kParts>([&] [[gnu::always_inline]] (auto i) {
      const auto weight = weigh(load_part(x + k + i * kPartLanes));
      sum.part[i] = hn::Add(sum.part[i], weight);
      hn::StoreU(weight, tag, y + k + i * kPartLanes);
    });
  }
  if (whole != count) {
    alignas(64) float some[kLanes];
    for (unsigned i = 0; i < kLanes; ++i) {
      some[i] = whole + i < count ? x[whole + i] : 0;
    }
    unrolled<kParts>([&] [[gnu::always_inline]] (auto i) {
      const auto weight = weigh(hn::Load(tag, some + i * kPartLanes));
      const std::uint64_t first = whole + i * kPartLanes;
      const std::uint64_t inside = first < count ? count - first : 0;
      const auto mask = hn::FirstN(tag, inside < kPartLanes ? inside : kPartLanes);
      sum.part[i] = hn::Add(sum.part[i], hn::IfThenElseZero(mask, weight));
      hn::Store(weight, tag, some + i * kPartLanes);
    });
    for (std::uint64_t i = whole; i < count; ++i) {
      y[i] = some[i - whole];
    }
  }
  const float total = hn::GetLane(fold(sum, sum, sum, sum));
  map(y, y, count, [&] [[gnu::always_inline]] (FloatPart v) { return hn::Div(v, hn::Set(tag, total)); });
}

Outcome softmax(const Checked& command, Units units) {
  const float scale = bits_to_f32(command.params[abi::npu::param::kScale]);
  each_row(command, units, [&] [[gnu::always_inline]] (std::uint64_t row, std::uint64_t, std::uint64_t) {
    softmax_row(f32_row(command.operands[abi::npu::operand::kInput], row),
                f32_row(command.operands[abi::npu::operand::kOutput], row), command.dims[abi::npu::dim::kColumns],
                scale);
  });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
