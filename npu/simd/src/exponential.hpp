// e^x of vectors: the same bits for every target, since only operations that IEEE 754 defines are used, in one order.
#pragma once

#include "wide.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// 2^n for n in [-126, 127].
[[gnu::always_inline]] inline FloatPart power_of_two(IntPart n) {
  return hn::BitCast(Floats(), hn::ShiftLeft<23>(hn::Add(n, hn::Set(Ints(), 127))));
}

/// e^x = fraction * 2^exponent, with a fraction of 0.7 to 1.42.
struct Exponential {
  FloatPart fraction;
  IntPart exponent;
};

/// Of a number whose magnitude is below 2^20; at most 2 ulp off. Of a NaN the fraction is one.
[[gnu::always_inline]] inline Exponential split_exponential(FloatPart x) {
  const Floats tag;
  // x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts.
  const auto n = hn::Round(hn::Mul(x, hn::Set(tag, 0x1.715476p+0F)));
  const auto r = hn::NegMulAdd(n, hn::Set(tag, -0x1.05c61p-29F), hn::NegMulAdd(n, hn::Set(tag, 0x1.62e43p-1F), x));
  auto sum = hn::Set(tag, 1.0F / 5040);  // Taylor's series; what is left of it is below 2^-27
  for (const float factor : {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F}) {
    sum = hn::MulAdd(sum, r, hn::Set(tag, factor));
  }
  return {sum, hn::NearestInt(n)};
}

/// e^x; 0 below the least subnormal number, infinite above the largest one; NaN stays.
[[gnu::always_inline]] inline FloatPart exponential(FloatPart x) {
  const auto bounded = clamped(Floats(), x, -104.0F, 89.0F);
  const Exponential e = split_exponential(bounded);
  // In two steps, since the result may be subnormal, and 2^128 is no number.
  const auto half = hn::ShiftRight<1>(e.exponent);
  const auto value = hn::Mul(hn::Mul(e.fraction, power_of_two(half)), power_of_two(hn::Sub(e.exponent, half)));
  return hn::IfThenElse(hn::Eq(x, x), value, x);
}

/// factor * x / (1 + e^-s). A factor may be as large as a result of x alone is small, so 2^n of the exponential is
/// multiplied in last, in parts. NaN for x = -infinity.
[[gnu::always_inline]] inline FloatPart gated(FloatPart x, FloatPart s, FloatPart factor) {
  const Floats tag;
  // e^-|s|; below, nothing is left of any result.
  const auto bounded = clamped(tag, hn::Neg(hn::Abs(s)), -250.0F, 0.0F);
  const Exponential e = split_exponential(bounded);
  const auto zero = hn::Zero(Ints());
  const auto least = hn::Set(Ints(), -126);
  const auto exponent = hn::Min(e.exponent, zero);
  const auto small = hn::Mul(e.fraction, power_of_two(hn::Max(exponent, least)));  // beside 1, that small is nothing
  const auto is_negative = hn::Lt(s, hn::Zero(tag));
  // Of what is far below 0 nothing is left, so it need not be as large as it is.
  const auto number = hn::IfThenElse(hn::Lt(x, hn::Set(tag, -1024)), hn::Set(tag, -1024), x);
  // From where on e^-s is infinite in the scalar kernels, so that an infinite factor makes NaN.
  const auto fraction = hn::IfThenZeroElse(hn::Lt(s, hn::Set(tag, -710)), e.fraction);
  const auto numerator = hn::Mul(number, hn::IfThenElse(is_negative, fraction, hn::Set(tag, 1)));
  const auto shift = hn::IfThenElseZero(hn::RebindMask(Ints(), is_negative), exponent);
  const auto first = hn::Max(shift, least);
  const auto second = hn::Max(hn::Sub(shift, first), least);
  const auto third = hn::Max(hn::Sub(hn::Sub(shift, first), second), least);
  // Divided last, by 1 to 2: half of the product is no larger than the result, and no tiny ratio is lost before it is
  // multiplied by a large factor.
  const auto product = hn::Mul(numerator, hn::Mul(hn::Mul(factor, hn::Set(tag, 0.5F)), power_of_two(first)));
  auto value = hn::Div(product, hn::Add(hn::Set(tag, 1), small));
  value = hn::Mul(hn::Mul(value, power_of_two(second)), power_of_two(third));
  value = hn::Add(value, value);
  const auto minus_infinity = hn::Set(tag, static_cast<float>(-kInfinity));
  return hn::IfThenElse(hn::Eq(x, minus_infinity), hn::Set(tag, static_cast<float>(kNan)), value);
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
