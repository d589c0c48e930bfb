// Functions of real numbers against the C library's in extended precision.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "npu/kernels/element.hpp"
#include "npu/testing/scene.hpp"

namespace npu {
namespace {

using Wide = long double;

double uniform(testing::Noise& noise, double low, double high) {
  return low + (high - low) * (static_cast<double>(noise() >> 11) * 0x1p-53);
}

/// |value - exact| in units of the last place of a normal `exact`.
double ulps(double value, Wide exact) {
  const int exponent = std::max(std::ilogb(exact), -1022);
  return static_cast<double>(std::abs(static_cast<Wide>(value) - exact) / std::ldexp(Wide{1}, exponent - 52));
}

TEST(Exponential, is_within_4_ulp) {
  testing::Noise noise;
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const double x = i % 2 == 0 ? uniform(noise, -745, 709.7) : uniform(noise, -2, 2);
    worst = std::max(worst, ulps(exponential(x), std::exp(static_cast<Wide>(x))));
  }
  EXPECT_LT(worst, 4);
}

TEST(Exponential, has_its_limits) {
  EXPECT_EQ(exponential(0), 1);
  EXPECT_EQ(exponential(-0.0), 1);
  EXPECT_EQ(exponential(711), kInfinity);
  EXPECT_EQ(exponential(kInfinity), kInfinity);
  EXPECT_EQ(exponential(-751), 0);
  EXPECT_EQ(exponential(-kInfinity), 0);
  EXPECT_EQ(exponential(709.9), kInfinity);
  EXPECT_TRUE(std::isnan(exponential(kNan)));
}

TEST(Logarithm, is_within_4_ulp) {
  testing::Noise noise;
  double worst = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double x = i % 2 == 0 ? std::exp(uniform(noise, -700, 700)) : uniform(noise, 0.5, 2);
    worst = std::max(worst, x == 1 ? 0 : ulps(logarithm(x), std::log(static_cast<Wide>(x))));
  }
  EXPECT_LT(worst, 4);
  EXPECT_EQ(logarithm(1), 0);
}

TEST(SineCosine, are_within_2_to_the_minus_51) {
  testing::Noise noise;
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const double limit = i % 2 == 0 ? 0x1p31 : 8;
    const double x = uniform(noise, -limit, limit);
    const SineCosine both = sine_cosine(x);
    worst =
        std::max(worst, static_cast<double>(std::abs(static_cast<Wide>(both.sine) - std::sin(static_cast<Wide>(x)))));
    worst =
        std::max(worst, static_cast<double>(std::abs(static_cast<Wide>(both.cosine) - std::cos(static_cast<Wide>(x)))));
  }
  EXPECT_LT(worst, 0x1p-51);
}

TEST(SineCosine, of_angles_that_say_nothing_are_nan) {
  for (const double x : {0x1p31, -0x1p31, kInfinity, -kInfinity, kNan}) {
    EXPECT_TRUE(std::isnan(sine_cosine(x).sine));
    EXPECT_TRUE(std::isnan(sine_cosine(x).cosine));
  }
  EXPECT_EQ(sine_cosine(0).sine, 0);
  EXPECT_EQ(sine_cosine(0).cosine, 1);
}

TEST(F16, every_number_is_itself) {
  for (std::uint32_t half = 0; half < 65536; ++half) {
    const auto exact = static_cast<float>(std::bit_cast<_Float16>(static_cast<std::uint16_t>(half)));
    const float value = f16_to_f32(static_cast<std::uint16_t>(half));
    ASSERT_TRUE(std::isnan(exact) ? std::isnan(value) : testing::bits(value) == testing::bits(exact)) << half;
    if (!std::isnan(exact)) {
      ASSERT_EQ(f32_to_f16(value), half);
    }
  }
}

TEST(F16, is_rounded_to_even) {
  testing::Noise noise;
  for (int i = 0; i < 300'000; ++i) {
    // Half of them next to the middle between two, and so around that of the largest one and infinity.
    auto raw = static_cast<std::uint32_t>(noise());
    raw = i % 2 == 0 ? raw : (raw & 0xFFFF'E000U) + 0x1000U + static_cast<std::uint32_t>(i % 3) - 1;
    const auto value = std::bit_cast<float>(raw);
    const auto expected = std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
    ASSERT_TRUE(std::isnan(value) ? (f32_to_f16(value) & 0x7FFFU) > 0x7C00U : f32_to_f16(value) == expected) << value;
  }
  EXPECT_EQ(f32_to_f16(65519.99F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520), 0x7C00);
  EXPECT_EQ(f32_to_f16(-1e30F), 0xFC00);
  EXPECT_EQ(f32_to_f16(0x1p-25F), 0);  // half way to the least one
  EXPECT_EQ(f32_to_f16(0x1.8p-24F), 2);
}

TEST(RoundEven, goes_to_the_even_one) {
  EXPECT_EQ(round_even(0.5), 0);
  EXPECT_EQ(round_even(1.5), 2);
  EXPECT_EQ(round_even(-2.5), -2);
  EXPECT_EQ(round_even(-2.51), -3);
  EXPECT_EQ(round_even(0x1p40 + 0.5), 0x1p40);
}

}  // namespace
}  // namespace npu
