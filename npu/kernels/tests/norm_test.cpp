#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;
using Wide = long double;

const float kNan = std::nanf("");
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(RmsNorm, divides_by_the_root_of_the_mean_square) {
  Scene scene = example("rms norm");
  run(scene);
  for (std::uint64_t row = 0; row < 3; ++row) {
    Wide square = 0;
    for (std::uint64_t i = 0; i < 11; ++i) {
      square += wide(scene, 1, row, i) * wide(scene, 1, row, i) / 11;
    }
    for (std::uint64_t i = 0; i < 11; ++i) {
      const auto expected = static_cast<double>(wide(scene, 1, row, i) / std::sqrt(square + static_cast<Wide>(1e-5F)) *
                                                wide(scene, 2, 0, i));
      expect_element(scene, row, i, expected, rounding(expected, std::abs(expected)));
    }
  }
}

TEST(LayerNorm, has_mean_0_and_variance_1_before_weight_and_bias) {
  Scene scene = example("layer norm");
  run(scene);
  for (std::uint64_t row = 0; row < 3; ++row) {
    Wide mean = 0;
    Wide variance = 0;
    for (std::uint64_t i = 0; i < 11; ++i) {
      mean += wide(scene, 1, row, i) / 11;
    }
    for (std::uint64_t i = 0; i < 11; ++i) {
      variance += (wide(scene, 1, row, i) - mean) * (wide(scene, 1, row, i) - mean) / 11;
    }
    for (std::uint64_t i = 0; i < 11; ++i) {
      const auto expected = static_cast<double>(
          (wide(scene, 1, row, i) - mean) / std::sqrt(variance + static_cast<Wide>(1e-5F)) * wide(scene, 2, 0, i) +
          wide(scene, 3, 0, i));
      expect_element(scene, row, i, expected, rounding(expected, 10));
    }
  }
}

TEST(Norms, weight_and_bias_may_be_left_out) {
  for (const Opcode opcode : {Opcode::RmsNorm, Opcode::LayerNorm}) {
    Scene scene(opcode, {1, 2});
    scene.operand({0, Type::F32, 1, 2}).operand({1, Type::F32, 1, 2});
    scene.set<float>(1, 0, 0, 3);
    scene.set<float>(1, 0, 1, -3);
    run(scene);
    EXPECT_EQ(scene.value(0, 0, 0), 1);
    EXPECT_EQ(scene.value(0, 0, 1), -1);
  }
}

TEST(Norms, large_numbers_do_not_overflow) {
  Scene scene(Opcode::RmsNorm, {1, 2});
  scene.operand({0, Type::F32, 1, 2}).operand({1, Type::F32, 1, 2});
  scene.set<float>(1, 0, 0, 3e38F);
  scene.set<float>(1, 0, 1, 3e38F);
  run(scene);
  EXPECT_EQ(scene.value(0, 0, 1), 1);
}

TEST(Norms, a_nan_makes_its_row_nan) {
  for (const char* name : {"rms norm", "layer norm", "softmax"}) {
    Scene scene = example(name);
    scene.set<float>(1, 1, 4, kNan);
    run(scene);
    for (std::uint64_t i = 0; i < 11; ++i) {
      EXPECT_FALSE(std::isnan(scene.value(0, 0, i))) << name;
      EXPECT_TRUE(std::isnan(scene.value(0, 1, i))) << name;
    }
  }
}

TEST(Norms, a_row_of_zeros_without_epsilon_is_nan) {
  Scene scene(Opcode::RmsNorm, {1, 2});
  scene.operand({0, Type::F32, 1, 2}).operand({1, Type::F32, 1, 2});
  std::memset(scene.bytes(1).data(), 0, 8);
  run(scene);
  EXPECT_TRUE(std::isnan(scene.value(0, 0, 0)));
}

TEST(Softmax, is_the_exponential_over_the_sum) {
  for (const float scale : {0.5F, -3.0F, 0.0F}) {
    Scene scene = example("softmax");
    scene.f(0, scale);
    run(scene);
    for (std::uint64_t row = 0; row < 3; ++row) {
      Wide sum = 0;
      for (std::uint64_t i = 0; i < 70; ++i) {
        sum += std::exp(wide(scene, 1, row, i) * static_cast<Wide>(scale));
      }
      for (std::uint64_t i = 0; i < 70; ++i) {
        const auto expected = static_cast<double>(std::exp(wide(scene, 1, row, i) * static_cast<Wide>(scale)) / sum);
        expect_element(scene, row, i, expected, rounding(expected, expected));
      }
    }
  }
}

TEST(Softmax, of_numbers_far_apart_is_one_for_the_largest) {
  Scene scene = example("softmax");
  for (std::uint64_t i = 0; i < 70; ++i) {
    scene.set<float>(1, 0, i, i == 3 ? 3e38F : -3e38F);
    scene.set<float>(1, 1, i, i == 3 ? 0 : -kInfinity);
    scene.set<float>(1, 2, i, -kInfinity);
  }
  run(scene);
  EXPECT_EQ(scene.value(0, 0, 3), 1);
  EXPECT_EQ(scene.value(0, 0, 4), 0);
  EXPECT_EQ(scene.value(0, 1, 3), 1);
  EXPECT_EQ(scene.value(0, 1, 4), 0);
  EXPECT_TRUE(std::isnan(scene.value(0, 2, 3)));
}

TEST(Softmax, of_an_infinity_is_nan) {
  Scene scene = example("softmax");
  scene.set<float>(1, 0, 3, kInfinity);
  run(scene);
  EXPECT_TRUE(std::isnan(scene.value(0, 0, 3)));
  EXPECT_TRUE(std::isnan(scene.value(0, 0, 4)));
}

}  // namespace
}  // namespace npu::testing
