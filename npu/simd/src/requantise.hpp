// From sums to elements of an i8 output (docs/npu.md, Requantisation), a vector at a time.
#pragma once

#include "abi/npu_commands.hpp"
#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Lanes with odd numbers, in even ones, which are what MulEven() multiplies.
[[gnu::always_inline]] inline IntPart odd_lanes(IntPart value) {
  const hn::RepartitionToWide<hn::RebindToUnsigned<Ints>> wide;
  return hn::BitCast(Ints(), hn::ShiftRight<32>(hn::BitCast(wide, value)));
}

/// What a requantisation needs to know of a vector of channels, made once for all pixels or rows.
class RequantisePart {
 public:
  /// Shifts beyond -31 to 30 count as the nearest of these.
  [[gnu::always_inline]] RequantisePart(IntPart multiplier, IntPart shift) : multiplier_(multiplier) {
    const auto zero = hn::Zero(Ints());
    const auto bounded = hn::Min(hn::Max(shift, hn::Set(Ints(), -31)), hn::Set(Ints(), 30));
    left_ = hn::Max(bounded, zero);
    right_ = hn::Sub(left_, bounded);
    any_left_ = !hn::AllFalse(Ints(), hn::Gt(left_, zero));
    any_least_ = !hn::AllFalse(Ints(), hn::Eq(multiplier, least()));
  }

  /// sum * 2^left * multiplier / 2^31 / 2^right, each step rounded and saturated as docs/npu.md, Requantisation, says.
  [[gnu::always_inline]] [[nodiscard]] IntPart apply(IntPart sum) const {
    return divide(high_product(any_left_ ? shift_left(sum) : sum));
  }

 private:
  [[gnu::always_inline]] static IntPart least() { return hn::Set(Ints(), -0x7FFF'FFFF - 1); }

  /// value * 2^left, saturated. `left` is 0 to 30.
  [[gnu::always_inline]] [[nodiscard]] IntPart shift_left(IntPart value) const {
    const auto shifted = hn::Shl(value, left_);
    const auto limit = hn::Xor(hn::BroadcastSignBit(value), hn::Set(Ints(), 0x7FFF'FFFF));
    return hn::IfThenElse(hn::Eq(hn::Shr(shifted, left_), value), shifted, limit);
  }

  /// floor((value * multiplier + 2^30) / 2^31), saturated.
  [[gnu::always_inline]] [[nodiscard]] IntPart high_product(IntPart value) const {
    const hn::RepartitionToWide<Ints> wide;
    const auto half = hn::Set(wide, std::int64_t{1} << 30);
    const auto even_sum = hn::Add(hn::MulEven(value, multiplier_), half);
    const auto odd_sum = hn::Add(hn::MulEven(odd_lanes(value), odd_lanes(multiplier_)), half);
    // Bits 31 to 62 of each are the result, in its place.
    const auto low = hn::And(hn::BitCast(wide, hn::ShiftRight<31>(even_sum)), hn::Set(wide, 0xFFFF'FFFFLL));
    const auto high = hn::AndNot(hn::Set(wide, 0xFFFF'FFFFLL), hn::ShiftLeft<1>(odd_sum));
    const auto product = hn::BitCast(Ints(), hn::Or(low, high));
    if (!any_least_) {
      return product;
    }
    const auto saturates = hn::And(hn::Eq(value, least()), hn::Eq(multiplier_, least()));
    return hn::IfThenElse(saturates, hn::Set(Ints(), 0x7FFF'FFFF), product);
  }

  /// value / 2^right to the nearest, ties away from 0. `right` is 0 to 31.
  [[gnu::always_inline]] [[nodiscard]] IntPart divide(IntPart value) const {
    const auto one = hn::Set(Ints(), 1);
    const auto mask = hn::Sub(hn::Shl(one, right_), one);
    const auto remainder = hn::And(value, mask);
    const auto negative = hn::BroadcastSignBit(value);  // -1 or 0
    const auto threshold =
        hn::Sub(hn::BitCast(Ints(), hn::ShiftRight<1>(hn::BitCast(hn::RebindToUnsigned<Ints>(), mask))), negative);
    return hn::Sub(hn::Shr(value, right_), hn::VecFromMask(Ints(), hn::Gt(remainder, threshold)));
  }

  IntPart multiplier_;
  IntPart left_;
  IntPart right_;
  bool any_left_;
  bool any_least_;
};

/// What a convolution or a Gemm on i8 does with its sums.
class RequantiseRow {
 public:
  explicit RequantiseRow(const Checked& command)
      : multipliers_(i32(command.operands[abi::npu::operand::kMultipliers].data)),
        shifts_(i32(command.operands[abi::npu::operand::kShifts].data)),
        per_tensor_((command.flags & abi::npu::command_flag::kPerTensor) != 0),
        zero_(static_cast<std::int32_t>(command.params[abi::npu::param::kZeroOut])),
        min_(static_cast<std::int32_t>(command.params[abi::npu::param::kMin])),
        max_(static_cast<std::int32_t>(command.params[abi::npu::param::kMax])) {}

  /// Channels [channel, channel + count): `sums` has room for whole vectors.
  void write(const std::int32_t* sums, std::uint64_t channel, std::uint64_t count, MemI8* to) const {
    for (std::uint64_t i = 0; i < count; i += kPartLanes) {
      const std::uint64_t some = count - i < kPartLanes ? count - i : kPartLanes;
      const IntPart result = apply(hn::LoadU(Ints(), sums + i), channels(channel + i, some));
      store_bytes(hn::DemoteTo(Bytes(), result), to + i, some);
    }
  }

  /// Channels [channel, channel + count), at most a vector.
  [[gnu::always_inline]] [[nodiscard]] RequantisePart channels(std::uint64_t channel, std::uint64_t count) const {
    return {of(multipliers_, channel, count), of(shifts_, channel, count)};
  }

  /// Elements of the output, in whole lanes.
  [[gnu::always_inline]] [[nodiscard]] IntPart apply(IntPart sum, const RequantisePart& channels) const {
    // Limits first: the sum with zero might not fit.
    const auto clamped =
        hn::Min(hn::Max(channels.apply(sum), hn::Set(Ints(), min_ - zero_)), hn::Set(Ints(), max_ - zero_));
    return hn::Add(clamped, hn::Set(Ints(), zero_));
  }

 private:
  /// Of each channel; behind the last one 0.
  [[gnu::always_inline]] [[nodiscard]] IntPart of(const MemI32* values, std::uint64_t channel,
                                                  std::uint64_t count) const {
    if (per_tensor_) {
      return hn::Set(Ints(), values[0]);
    }
    if (count == kPartLanes) {
      return hn::LoadU(Ints(), values + channel);
    }
    alignas(64) std::int32_t some[kPartLanes] = {};
    for (std::uint64_t i = 0; i < count; ++i) {
      some[i] = values[channel + i];
    }
    return hn::Load(Ints(), some);
  }

  const MemI32* multipliers_;
  const MemI32* shifts_;
  bool per_tensor_;
  std::int32_t zero_;
  std::int32_t min_;
  std::int32_t max_;
};

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
