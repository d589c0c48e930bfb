// exponential() and sine_cosine() of npu/kernels/real.hpp, a vector at a time: the same operations in the same order,
// so the same bits.
#pragma once

#include "wide.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

using Longs = hn::RebindToSigned<Doubles>;
using LongPart = hn::Vec<Longs>;

/// An integer as a number, and in two's complement the bits of it that fit.
struct Whole {
  DoublePart number;
  LongPart bits;
};

/// To the nearest, ties to even; below 2^51.
[[gnu::always_inline]] inline Whole round_even(DoublePart x) {
  // There are no bits for fractions in numbers of this size, so the addition rounds, and the last bits are the integer.
  const auto shift = hn::Set(Doubles(), 0x1.8p52);
  const auto shifted = hn::Add(x, shift);
  return {hn::Sub(shifted, shift), hn::Sub(hn::BitCast(Longs(), shifted), hn::BitCast(Longs(), shift))};
}

/// sum * x + number, rounded twice.
[[gnu::always_inline]] inline DoublePart next_term(DoublePart sum, DoublePart x, double number) {
  return hn::Add(hn::Mul(sum, x), hn::Set(Doubles(), number));
}

/// e^x where that is a normal number.
[[gnu::always_inline]] inline DoublePart exponential(DoublePart x) {
  const Whole n = round_even(hn::Mul(x, hn::Set(Doubles(), 0x1.71547652b82fep+0)));
  const auto high = hn::Mul(n.number, hn::Set(Doubles(), 0x1.62e42feep-1));
  const auto low = hn::Mul(n.number, hn::Set(Doubles(), 0x1.a39ef35793c76p-33));
  const auto r = hn::Sub(hn::Sub(x, high), low);
  auto sum = hn::Set(Doubles(), kInverseFactorials[14]);
  for (int k = 13; k >= 0; --k) {
    sum = next_term(sum, r, kInverseFactorials[k]);
  }
  return hn::BitCast(Doubles(), hn::Add(hn::BitCast(Longs(), sum), hn::ShiftLeft<52>(n.bits)));
}

struct SineCosinePart {
  DoublePart sine;
  DoublePart cosine;
};

/// Of 2^31 and above: NaN.
[[gnu::always_inline]] inline SineCosinePart sine_cosine(DoublePart angle) {
  const auto is_known = hn::Lt(hn::Abs(angle), hn::Set(Doubles(), 0x1p31));
  const Whole n = round_even(hn::Mul(angle, hn::Set(Doubles(), 0x1.45f306dc9c883p-1)));
  auto r = angle;
  for (const double part : {0x1.921fbp+0, 0x1.5110bp-22, 0x1.1846980p-44, 0x1.3198a2e037073p-69}) {  // of pi / 2
    r = hn::Sub(r, hn::Mul(n.number, hn::Set(Doubles(), part)));
  }
  const auto square = hn::Mul(r, r);
  auto sine = hn::Set(Doubles(), kInverseFactorials[19]);
  auto cosine = hn::Set(Doubles(), kInverseFactorials[18]);
  for (int k = 16; k >= 0; k -= 2) {
    sine = hn::Sub(hn::Set(Doubles(), kInverseFactorials[k + 1]), hn::Mul(sine, square));
    cosine = hn::Sub(hn::Set(Doubles(), kInverseFactorials[k]), hn::Mul(cosine, square));
  }
  sine = hn::Mul(sine, r);
  // The quadrant n mod 4: those that are odd exchange both; 2 and 3 turn the sine's sign, 1 and 2 the cosine's.
  const auto one = hn::Set(Longs(), 1);
  const auto two = hn::Set(Longs(), 2);
  const auto sign_of = [&] [[gnu::always_inline]] (LongPart bits) {
    return hn::BitCast(Doubles(), hn::ShiftLeft<62>(hn::And(bits, two)));
  };
  const auto is_odd = hn::RebindMask(Doubles(), hn::Eq(hn::And(n.bits, one), one));
  const auto none = hn::Set(Doubles(), kNan);
  const auto first = hn::Xor(hn::IfThenElse(is_odd, cosine, sine), sign_of(n.bits));
  const auto second = hn::Xor(hn::IfThenElse(is_odd, sine, cosine), sign_of(hn::Add(n.bits, one)));
  return {hn::IfThenElse(is_known, first, none), hn::IfThenElse(is_known, second, none)};
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
