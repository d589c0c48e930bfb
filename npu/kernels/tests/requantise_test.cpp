#include "npu/kernels/requantise.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "npu/testing/scene.hpp"

namespace npu {
namespace {

constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
using Wide = __int128;

/// Down, unlike the language's division.
Wide floor_divide(Wide a, Wide b) { return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0); }

Wide saturate(Wide value) { return value > kMost ? Wide{kMost} : value < kLeast ? Wide{kLeast} : value; }

/// value * multiplier / 2^31 to the nearest, ties up; then / 2^right to the nearest, ties away from 0. Worked out with
/// divisions of exact numbers, not with masks and shifts.
std::int32_t exact(std::int32_t value, std::int32_t multiplier, int shift) {
  const Wide shifted = saturate(shift > 0 ? Wide{value} * (Wide{1} << shift) : Wide{value});
  const Wide high = saturate(floor_divide(shifted * multiplier + (Wide{1} << 30), Wide{1} << 31));
  const Wide divisor = Wide{1} << (shift < 0 ? -shift : 0);
  const Wide magnitude = (2 * (high < 0 ? -high : high) + divisor) / (2 * divisor);
  return static_cast<std::int32_t>(high < 0 ? -magnitude : magnitude);
}

TEST(Requantise, is_exact_at_the_edges) {
  for (const std::int32_t value :
       {kLeast, kLeast + 1, -1'000'000, -3, -2, -1, 0, 1, 2, 3, 77, 1'000'000, kMost - 1, kMost}) {
    for (const std::int32_t multiplier : {kLeast, -1, 0, 1, 1 << 30, (1 << 30) + 1, kMost}) {
      for (int shift = -31; shift <= 30; ++shift) {
        ASSERT_EQ(multiply_quantised(value, multiplier, shift), exact(value, multiplier, shift))
            << value << " * " << multiplier << " shift " << shift;
      }
    }
  }
}

TEST(Requantise, is_exact_for_any_numbers) {
  testing::Noise noise;
  for (int i = 0; i < 200'000; ++i) {
    const auto value = static_cast<std::int32_t>(static_cast<std::int32_t>(noise()) >> (noise() % 31));
    const auto multiplier = static_cast<std::int32_t>(noise());
    const int shift = static_cast<int>(noise() % 62) - 31;
    ASSERT_EQ(multiply_quantised(value, multiplier, shift), exact(value, multiplier, shift));
  }
}

TEST(Requantise, ties_go_up_first_and_away_from_zero_then) {
  EXPECT_EQ(multiply_quantised(1, 1 << 30, 0), 1);    // 0.5
  EXPECT_EQ(multiply_quantised(-1, 1 << 30, 0), 0);   // -0.5
  EXPECT_EQ(multiply_quantised(-3, 1 << 30, 0), -1);  // -1.5
  EXPECT_EQ(multiply_quantised(6, 1 << 30, -1), 2);   // 3 / 2
  EXPECT_EQ(multiply_quantised(-6, 1 << 30, -1), -2);
}

TEST(Requantise, saturates_where_the_product_does_not_fit) {
  EXPECT_EQ(multiply_quantised(kLeast, kLeast, 0), kMost);
  EXPECT_EQ(multiply_quantised(3, kMost, 30), kMost - 1);  // 3 * 2^30 counts as 2^31 - 1
  EXPECT_EQ(multiply_quantised(-3, kMost, 30), -kMost);
}

TEST(Requantise, shifts_out_of_range_count_as_the_nearest) {
  EXPECT_EQ(multiply_quantised(5, kMost, 31), multiply_quantised(5, kMost, 30));
  EXPECT_EQ(multiply_quantised(5, kMost, kMost), multiply_quantised(5, kMost, 30));
  EXPECT_EQ(multiply_quantised(kMost, kMost, kLeast), multiply_quantised(kMost, kMost, -31));
}

}  // namespace
}  // namespace npu
