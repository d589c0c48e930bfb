#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;
namespace flag = abi::npu::command_flag;
using Wide = long double;

Scene product(std::uint32_t m, std::uint32_t n, std::uint32_t k, Type weight) {
  Scene scene(Opcode::Gemm, {m, n, k});
  scene.operand({0, Type::F32, m, n, 4}).operand({1, Type::F32, m, k, 12}).operand({2, weight, n, k, 4});
  scene.spread(1, 1);
  return scene;
}

class RealGemm : public ::testing::TestWithParam<Type> {};

TEST_P(RealGemm, is_the_sum_of_the_products) {
  for (const std::uint32_t k : {1U, 2U, 33U, 320U}) {
    Scene scene = product(3, 5, k, GetParam());
    scene.operand({3, Type::F32, 1, 5});
    run(scene);
    for (std::uint64_t row = 0; row < 3; ++row) {
      for (std::uint64_t column = 0; column < 5; ++column) {
        Wide sum = wide(scene, 3, 0, column);
        double magnitude = 2;
        for (std::uint64_t i = 0; i < k; ++i) {
          sum += wide(scene, 1, row, i) * wide(scene, 2, column, i);
          magnitude += std::abs(scene.value(1, row, i) * scene.value(2, column, i));
        }
        expect_element(scene, row, column, static_cast<double>(sum), rounding(static_cast<double>(sum), magnitude));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Weights, RealGemm, ::testing::Values(Type::F32, Type::F16));

/// A row's element as its block has it: a multiple of the largest magnitude / 127.
double in_block(Scene& scene, std::uint64_t row, std::uint64_t column) {
  float largest = 0;
  for (std::uint64_t i = column / 32 * 32; i < column / 32 * 32 + 32; ++i) {
    largest = std::max(largest, std::abs(scene.get<float>(1, row, i)));
  }
  const float scale = largest / 127;
  return scale == 0 ? 0
                    : static_cast<double>(scale) *
                          static_cast<double>(std::nearbyint(scene.get<float>(1, row, column) / scale));
}

class BlockGemm : public ::testing::TestWithParam<Type> {};

TEST_P(BlockGemm, is_the_sum_of_the_products_of_blocks) {
  for (const std::uint32_t k : {32U, 96U, 320U}) {
    Scene scene = product(2, 70, k, GetParam());
    scene.operand({3, Type::F32, 1, 70});
    run(scene);
    for (std::uint64_t row = 0; row < 2; ++row) {
      std::vector<double> x(k);
      double rounded = 0;  // how far the blocks are from the row
      for (std::uint64_t i = 0; i < k; ++i) {
        x[i] = in_block(scene, row, i);
        rounded = std::max(rounded, std::abs(x[i] - scene.value(1, row, i)));
      }
      EXPECT_LT(rounded, 4.0 / 127);
      for (std::uint64_t column = 0; column < 70; ++column) {
        Wide sum = wide(scene, 3, 0, column);
        double magnitude = 2;
        for (std::uint64_t i = 0; i < k; ++i) {
          const double weight = scene.value(2, column, i);
          sum += static_cast<Wide>(x[i]) * static_cast<Wide>(weight);
          magnitude += std::abs(x[i] * weight);
        }
        expect_element(scene, row, column, static_cast<double>(sum), rounding(static_cast<double>(sum), magnitude));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Weights, BlockGemm, ::testing::Values(Type::Q8_0, Type::Q4_0));

TEST(BlockGemm, a_block_of_zeros_is_zero) {
  Scene scene = product(1, 2, 64, Type::Q8_0);
  for (std::uint64_t i = 0; i < 64; ++i) {
    scene.set<float>(1, 0, i, i % 2 == 0 ? 0.0F : -0.0F);
  }
  run(scene);
  EXPECT_EQ(scene.value(0, 0, 0), 0);
  EXPECT_EQ(scene.value(0, 0, 1), 0);
}

TEST(BlockGemm, a_row_with_a_nan_or_an_infinity_is_nan) {
  for (const float value :
       {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    Scene scene = product(2, 2, 64, Type::Q4_0);
    scene.set<float>(1, 0, 40, value);
    run(scene);
    EXPECT_TRUE(std::isnan(scene.value(0, 0, 0)));
    EXPECT_TRUE(std::isnan(scene.value(0, 0, 1)));
    EXPECT_FALSE(std::isnan(scene.value(0, 1, 0)));
  }
}

TEST(BlockGemm, scales_that_are_rounded_by_much_keep_to_127) {
  // 190 times the least f32: its scale is that number, and 190 is no i8.
  Scene scene = product(1, 1, 32, Type::Q8_0);
  for (std::uint64_t i = 0; i < 32; ++i) {
    scene.set<float>(1, 0, i, i == 0 ? 190 * 0x1p-149F : 0);
  }
  scene.set<_Float16>(2, 0, 0, static_cast<_Float16>(1));
  std::memset(scene.bytes(2).data() + 2, 1, 32);
  run(scene);
  EXPECT_EQ(scene.value(0, 0, 0), 127 * 0x1p-149);
}

TEST(RealGemm, adds_the_bias_and_clamps_what_was_rounded) {
  Scene scene = example("gemm f32 f32");
  for (std::uint64_t i = 0; i < 64; ++i) {
    scene.set<float>(1, 0, i, i == 0 ? 1.0F : 0.0F);
  }
  scene.set<float>(2, 0, 0, 1.25F);
  scene.set<float>(3, 0, 0, 0.5F);
  scene.set<float>(2, 1, 0, 7);
  scene.set<float>(2, 2, 0, -7);
  run(scene);
  EXPECT_EQ(scene.value(0, 0, 0), 1.75);
  EXPECT_EQ(scene.value(0, 0, 1), 3);
  EXPECT_EQ(scene.value(0, 0, 2), -3);
}

TEST(RealGemm, nan_is_not_clamped_and_infinity_is) {
  Scene scene = example("gemm f32 f32");
  scene.set<float>(1, 0, 0, std::nanf(""));
  scene.set<float>(1, 1, 0, std::numeric_limits<float>::infinity());
  run(scene);
  EXPECT_TRUE(std::isnan(scene.value(0, 0, 0)));
  EXPECT_EQ(std::abs(scene.value(0, 1, 0)), 3);
}

TEST(RealGemm, what_is_too_large_is_infinite) {
  Scene scene = product(1, 1, 2, Type::F32);
  for (std::uint64_t i = 0; i < 2; ++i) {
    scene.set<float>(1, 0, i, 3e38F);
    scene.set<float>(2, 0, i, i == 0 ? 1.0F : 1e-3F);
  }
  run(scene);
  EXPECT_NEAR(scene.value(0, 0, 0), 3.003e38, 1e32);
  scene.set<float>(2, 0, 1, 1);
  run(scene);
  EXPECT_TRUE(std::isinf(scene.value(0, 0, 0)));
}

/// As Requantise does it, with real numbers: off by one at most where a tie is near.
double requantised(Scene& scene, std::int64_t sum, unsigned channel) {
  const double scale = scene.value(4, 0, channel) * std::pow(2.0, scene.value(5, 0, channel) - 31);
  const auto zero = static_cast<std::int32_t>(scene.command.params[1].value());
  const auto min = static_cast<std::int32_t>(scene.command.params[2].value());
  const auto max = static_cast<std::int32_t>(scene.command.params[3].value());
  return std::clamp<double>(std::round(static_cast<double>(sum) * scale) + zero, min, max);
}

TEST(IntegerGemm, is_the_sum_of_the_products_requantised) {
  for (const char* name : {"gemm i8", "gemm i8 per tensor"}) {
    Scene scene = example(name);
    run(scene);
    for (std::uint64_t row = 0; row < 3; ++row) {
      for (unsigned column = 0; column < 5; ++column) {
        auto sum = static_cast<std::int64_t>(scene.value(3, 0, column));
        for (std::uint64_t i = 0; i < 17; ++i) {
          sum += static_cast<std::int64_t>((scene.value(1, row, i) + 3) * scene.value(2, column, i));
        }
        const unsigned channel = std::string(name) == "gemm i8" ? column : 0;
        expect_element(scene, row, column, requantised(scene, sum, channel), 1);
      }
    }
  }
}

TEST(IntegerGemm, sums_are_there_as_they_are) {
  Scene scene = example("gemm i8 to i32");
  run(scene);
  for (std::uint64_t row = 0; row < 2; ++row) {
    for (std::uint64_t column = 0; column < 3; ++column) {
      double sum = scene.value(3, 0, column);
      for (std::uint64_t i = 0; i < 9; ++i) {
        sum += (scene.value(1, row, i) - 7) * scene.value(2, column, i);
      }
      expect_element(scene, row, column, sum, 0);
    }
  }
}

TEST(IntegerGemm, sums_wrap_at_2_to_the_32) {
  constexpr std::uint32_t kInner = 70'000;
  Scene scene(Opcode::Gemm, {1, 1, kInner});
  scene.i(0, 127).operand({0, Type::I32, 1, 1}).operand({1, Type::I8, 1, kInner}).operand({2, Type::I8, 1, kInner});
  std::memset(scene.bytes(1).data(), 0x80, kInner);
  std::memset(scene.bytes(2).data(), 0x80, kInner);
  run(scene);
  constexpr std::int64_t kSum = std::int64_t{255} * 128 * kInner;
  static_assert(kSum > std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(scene.value(0, 0, 0), static_cast<double>(kSum - (std::int64_t{1} << 32)));
}

TEST(IntegerGemm, outputs_keep_to_their_limits) {
  Scene scene = example("gemm i8");
  scene.i(2, -1).i(3, 1);
  run(scene);
  bool low = false;
  bool high = false;
  for (std::uint64_t i = 0; i < 15; ++i) {
    low |= scene.value(0, i / 5, i % 5) == -1;
    high |= scene.value(0, i / 5, i % 5) == 1;
    EXPECT_LE(std::abs(scene.value(0, i / 5, i % 5)), 1);
  }
  EXPECT_TRUE(low && high);
}

}  // namespace
}  // namespace npu::testing
