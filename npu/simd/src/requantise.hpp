// From sums to elements of an i8 output (docs/npu.md, Requantisation), a vector at a time.
#pragma once

#include "abi/npu_commands.hpp"
#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// value * 2^left, saturated. `left` is 0 to 30.
[[gnu::always_inline]] inline IntPart shift_left(IntPart value, IntPart left) {
  const auto shifted = hn::Shl(value, left);
  const auto limit = hn::Xor(hn::BroadcastSignBit(value), hn::Set(Ints(), 0x7FFF'FFFF));
  return hn::IfThenElse(hn::Eq(hn::Shr(shifted, left), value), shifted, limit);
}

/// floor((a * b + 2^30) / 2^31), saturated.
[[gnu::always_inline]] inline IntPart high_product(IntPart a, IntPart b) {
  const hn::RepartitionToWide<Ints> wide;
  const auto half = hn::Set(wide, std::int64_t{1} << 30);
  const auto odd = [&] [[gnu::always_inline]] (IntPart v) {
    return hn::BitCast(Ints(), hn::ShiftRight<32>(hn::BitCast(hn::RepartitionToWide<hn::RebindToUnsigned<Ints>>(), v)));
  };
  const auto even_sum = hn::Add(hn::MulEven(a, b), half);
  const auto odd_sum = hn::Add(hn::MulEven(odd(a), odd(b)), half);
  // Bits 31 to 62 of each are the result, in its place.
  const auto low = hn::And(hn::BitCast(wide, hn::ShiftRight<31>(even_sum)), hn::Set(wide, 0xFFFF'FFFFLL));
  const auto high = hn::AndNot(hn::Set(wide, 0xFFFF'FFFFLL), hn::ShiftLeft<1>(odd_sum));
  const auto product = hn::BitCast(Ints(), hn::Or(low, high));
  const auto least = hn::Set(Ints(), -0x7FFF'FFFF - 1);
  return hn::IfThenElse(hn::And(hn::Eq(a, least), hn::Eq(b, least)), hn::Set(Ints(), 0x7FFF'FFFF), product);
}

/// value / 2^right to the nearest, ties away from 0. `right` is 0 to 31.
[[gnu::always_inline]] inline IntPart divide(IntPart value, IntPart right) {
  const auto one = hn::Set(Ints(), 1);
  const auto mask = hn::Sub(hn::Shl(one, right), one);
  const auto remainder = hn::And(value, mask);
  const auto negative = hn::BroadcastSignBit(value);  // -1 or 0
  const auto threshold =
      hn::Sub(hn::BitCast(Ints(), hn::ShiftRight<1>(hn::BitCast(hn::RebindToUnsigned<Ints>(), mask))), negative);
  return hn::Sub(hn::Shr(value, right), hn::VecFromMask(Ints(), hn::Gt(remainder, threshold)));
}

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
      const IntPart result =
          apply(hn::LoadU(Ints(), sums + i), of(multipliers_, channel + i, some), of(shifts_, channel + i, some));
      store_bytes(hn::DemoteTo(Bytes(), result), to + i, some);
    }
  }

 private:
  /// Of each channel; behind the last one 0.
  [[gnu::always_inline]] IntPart of(const MemI32* values, std::uint64_t channel, std::uint64_t count) const {
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

  [[gnu::always_inline]] IntPart apply(IntPart sum, IntPart multiplier, IntPart shift) const {
    const auto zero = hn::Zero(Ints());
    const auto bounded = hn::Min(hn::Max(shift, hn::Set(Ints(), -31)), hn::Set(Ints(), 30));
    const auto left = hn::Max(bounded, zero);
    const auto right = hn::Sub(left, bounded);
    const IntPart value = divide(high_product(shift_left(sum, left), multiplier), right);
    // Limits first: the sum with zero might not fit.
    const auto clamped = hn::Min(hn::Max(value, hn::Set(Ints(), min_ - zero_)), hn::Set(Ints(), max_ - zero_));
    return hn::Add(clamped, hn::Set(Ints(), zero_));
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
