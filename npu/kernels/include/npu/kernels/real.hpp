// Functions of real numbers, the same bits on every machine: only additions, multiplications, divisions and square
// roots of IEEE 754 binary64, in a fixed order (docs/npu.md, Arithmetic). A C library's functions are good, but which
// ones the guest and the host have differs, and so would their last bits.
//
// Everything in the headers of this folder is static: code that uses FP registers must not be what the linker chooses
// for a function that other code of the guest has, too.
#pragma once

#include <cstdint>

namespace npu {

inline constexpr double kInfinity = __builtin_inf();
inline constexpr double kNan = __builtin_nan("");

[[gnu::always_inline]] static inline bool is_nan(double x) { return x != x; }

/// To the nearest integer, ties to even. |x| is below 2^51.
[[gnu::always_inline]] static inline double round_even(double x) {
  // There are no bits for fractions in numbers of this size, so the addition rounds.
  constexpr double kShift = 0x1.8p52;
  return (x + kShift) - kShift;
}

/// 2^n for n in [-1022, 1023].
[[gnu::always_inline]] static inline double power_of_two(std::int64_t n) {
  return __builtin_bit_cast(double, static_cast<std::uint64_t>(n + 1023) << 52);
}

/// 1 / k! for k from 0.
static constexpr double kInverseFactorials[] = {
    1.0,
    1.0,
    1.0 / 2,
    1.0 / 6,
    1.0 / 24,
    1.0 / 120,
    1.0 / 720,
    1.0 / 5040,
    1.0 / 40320,
    1.0 / 362880,
    1.0 / 3628800,
    1.0 / 39916800,
    1.0 / 479001600,
    1.0 / 6227020800,
    1.0 / 87178291200,
    1.0 / 1307674368000,
    1.0 / 20922789888000,
    1.0 / 355687428096000,
    1.0 / 6402373705728000,
    1.0 / 121645100408832000.0,
};

/// e^x; at most 4 ulp off.
static inline double exponential(double x) {
  if (is_nan(x) || x > 710 || x < -750) {
    return x > 710 ? kInfinity : is_nan(x) ? x : 0;
  }
  // x = n ln 2 + r with |r| <= ln 2 / 2. n times the first part of ln 2 is exact.
  constexpr double kLn2Parts[] = {0x1.62e42feep-1, 0x1.a39ef35793c76p-33};
  const double n = round_even(x * 0x1.71547652b82fep+0);
  const double r = (x - n * kLn2Parts[0]) - n * kLn2Parts[1];
  double sum = kInverseFactorials[14];  // Taylor's series
  for (int k = 13; k >= 0; --k) {
    sum = sum * r + kInverseFactorials[k];
  }
  // In two steps, since the result may be subnormal, and 2^1024 is no number.
  const auto whole = static_cast<std::int64_t>(n);
  return sum * power_of_two(whole / 2) * power_of_two(whole - whole / 2);
}

/// The natural logarithm of a normal number above 0; at most 4 ulp off.
static inline double logarithm(double x) {
  const auto bits = __builtin_bit_cast(std::uint64_t, x);
  auto exponent = static_cast<std::int64_t>(bits >> 52) - 1023;
  double m = __builtin_bit_cast(double, (bits & 0x000F'FFFF'FFFF'FFFF) | 0x3FF0'0000'0000'0000);
  if (m > 0x1.6a09e667f3bcdp+0) {  // the square root of 2
    m /= 2;
    ++exponent;
  }
  // ln m = 2 artanh s with |s| < 0.172, in a series up to s^23
  const double s = (m - 1) / (m + 1);
  const double square = s * s;
  double sum = 0;
  for (int k = 23; k > 0; k -= 2) {
    sum = sum * square + 1.0 / k;
  }
  return static_cast<double>(exponent) * 0x1.62e42fefa39efp-1 + 2 * s * sum;
}

struct SineCosine {
  double sine;
  double cosine;
};

/// Both are at most 2^-51 off. Of 2^31 and above, where next to nothing is left of an angle, and of NaN: NaN.
static inline SineCosine sine_cosine(double angle) {
  if (!(angle > -0x1p31 && angle < 0x1p31)) {
    return {kNan, kNan};
  }
  // angle = n pi/2 + r. The parts have 22 bits, the last one all, so each product but the last one is exact.
  constexpr double kHalfPiParts[] = {0x1.921fbp+0, 0x1.5110bp-22, 0x1.1846980p-44, 0x1.3198a2e037073p-69};
  const double n = round_even(angle * 0x1.45f306dc9c883p-1);
  double r = angle;
  for (const double part : kHalfPiParts) {
    r -= n * part;
  }
  const double square = r * r;
  double sine = kInverseFactorials[19];  // Taylor's series
  double cosine = kInverseFactorials[18];
  for (int k = 16; k >= 0; k -= 2) {
    sine = kInverseFactorials[k + 1] - sine * square;
    cosine = kInverseFactorials[k] - cosine * square;
  }
  sine *= r;
  switch (static_cast<std::int64_t>(n) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

/// x / (1 + e^-x)
[[gnu::always_inline]] static inline double silu(double x) { return x / (1 + exponential(-x)); }

/// x/2 (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3), and (1 + tanh(u)) / 2 = 1 / (1 + e^-2u).
[[gnu::always_inline]] static inline double gelu(double x) {
  const double u = 0x1.9884533d43651p-1 * (x + 0.044715 * x * x * x);
  return x / (1 + exponential(-2 * u));
}

}  // namespace npu
