#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;
using Wide = long double;

/// Query heads share key heads: head h of Hq has key head h / (Hq / Hkv).
struct Shape {
  std::uint32_t rows;
  std::uint32_t query_heads;
  std::uint32_t key_heads;
  std::uint32_t elements;
  std::uint32_t past;
};

Scene attention(const Shape& shape, Type cache) {
  Scene scene(Opcode::Attention, {shape.rows, shape.query_heads, shape.key_heads, shape.elements, shape.past});
  const std::uint64_t query = std::uint64_t{shape.query_heads} * shape.elements;
  const std::uint64_t key = std::uint64_t{shape.key_heads} * shape.elements;
  scene.f(0, 0.7F).operand({0, Type::F32, shape.rows, query, 8}).operand({1, Type::F32, shape.rows, query, 4});
  scene.operand({2, cache, shape.rows + shape.past, key, 4}).operand({3, cache, shape.rows + shape.past, key});
  return scene;
}

Wide score(Scene& scene, const Shape& shape, std::uint64_t row, std::uint64_t head, std::uint64_t at) {
  const std::uint64_t key_head = head / (shape.query_heads / shape.key_heads);
  Wide sum = 0;
  for (std::uint64_t i = 0; i < shape.elements; ++i) {
    sum += wide(scene, 1, row, head * shape.elements + i) * wide(scene, 2, at, key_head * shape.elements + i);
  }
  return sum * static_cast<Wide>(0.7F);
}

void expect_attention(Scene& scene, const Shape& shape) {
  for (std::uint64_t row = 0; row < shape.rows; ++row) {
    for (std::uint64_t head = 0; head < shape.query_heads; ++head) {
      std::vector<Wide> values(shape.elements);
      Wide sum = 0;
      for (std::uint64_t at = 0; at <= shape.past + row; ++at) {
        const Wide weight = std::exp(score(scene, shape, row, head, at));
        sum += weight;
        for (std::uint64_t i = 0; i < shape.elements; ++i) {
          values[i] += weight * wide(scene, 3, at, head / (shape.query_heads / shape.key_heads) * shape.elements + i);
        }
      }
      for (std::uint64_t i = 0; i < shape.elements; ++i) {
        const auto expected = static_cast<double>(values[i] / sum);
        expect_element(scene, row, head * shape.elements + i, expected, rounding(expected, 4));
      }
    }
  }
}

TEST(Attention, is_the_mean_of_the_values_by_the_softmax_of_the_scores) {
  for (const Shape& shape : {Shape{3, 4, 2, 6, 5}, Shape{1, 1, 1, 1, 0}, Shape{4, 6, 1, 3, 0}, Shape{1, 3, 3, 64, 40},
                             Shape{1, 1, 1, 256, 3}}) {
    for (const Type cache : {Type::F32, Type::F16}) {
      Scene scene = attention(shape, cache);
      run(scene);
      expect_attention(scene, shape);
    }
  }
}

TEST(Attention, keys_and_values_may_have_two_types) {
  constexpr Shape kShape = {2, 2, 1, 4, 1};
  Scene scene = attention(kShape, Type::F32);
  scene.operand({3, Type::F16, 3, 4});
  run(scene);
  expect_attention(scene, kShape);
}

TEST(Attention, a_row_does_not_see_those_behind_it) {
  constexpr Shape kShape = {3, 1, 1, 4, 2};
  Scene scene = attention(kShape, Type::F32);
  for (std::uint64_t i = 0; i < 4; ++i) {
    scene.set<float>(2, 4, i, std::nanf(""));
    scene.set<float>(3, 4, i, std::nanf(""));
  }
  run(scene);
  EXPECT_FALSE(std::isnan(scene.value(0, 0, 0)));
  EXPECT_FALSE(std::isnan(scene.value(0, 1, 0)));
  EXPECT_TRUE(std::isnan(scene.value(0, 2, 0)));
}

/// One head of one element, so that scores can be chosen: the query is 1.
Scene with_scores(std::initializer_list<float> scores) {
  const auto count = static_cast<std::uint32_t>(scores.size());
  Scene scene = attention({1, 1, 1, 1, count - 1}, Type::F32);
  scene.f(0, 1).set<float>(1, 0, 0, 1);
  std::uint64_t at = 0;
  for (const float score : scores) {
    scene.set<float>(2, at, 0, score);
    scene.set<float>(3, at, 0, static_cast<float>(at + 1));
    ++at;
  }
  run(scene);
  return scene;
}

TEST(Attention, scores_far_apart_leave_the_largest) {
  EXPECT_EQ(with_scores({-3e38F, 3e38F, 0}).value(0, 0, 0), 2);
  EXPECT_EQ(with_scores({3e38F, -3e38F, 0}).value(0, 0, 0), 1);
}

TEST(Attention, scores_of_minus_infinity_weigh_nothing) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(with_scores({-kInfinity, -kInfinity, 5}).value(0, 0, 0), 3);
  EXPECT_EQ(with_scores({5, -kInfinity, -kInfinity}).value(0, 0, 0), 1);
  EXPECT_TRUE(std::isnan(with_scores({-kInfinity, -kInfinity}).value(0, 0, 0)));
  EXPECT_TRUE(std::isnan(with_scores({0, kInfinity, 0}).value(0, 0, 0)));
  EXPECT_TRUE(std::isnan(with_scores({0, std::nanf(""), 0}).value(0, 0, 0)));
}

class Rope : public ::testing::TestWithParam<const char*> {};

TEST_P(Rope, turns_pairs_by_their_positions_angle) {
  Scene scene = example(GetParam());
  const bool half = scene.command.flags != 0;
  scene.f(1, 0.25F);
  scene.set<std::int32_t>(2, 0, 0, 0);
  scene.set<std::int32_t>(2, 0, 1, 131'071);
  scene.set<std::int32_t>(2, 0, 2, -5);
  run(scene);
  for (std::uint64_t row = 0; row < 3; ++row) {
    for (std::uint64_t head = 0; head < 2; ++head) {
      for (std::uint64_t i = 0; i < 4; ++i) {
        const Wide angle = wide(scene, 2, 0, row) * 0.25L * std::pow(10000.0L, -static_cast<Wide>(i) / 4);
        const std::uint64_t a = head * 10 + (half ? i : 2 * i);
        const std::uint64_t b = head * 10 + (half ? i + 4 : 2 * i + 1);
        const Wide x = wide(scene, 1, row, a);
        const Wide y = wide(scene, 1, row, b);
        // The angle is a binary64: one of 2^15 is 2^-38 off.
        expect_element(scene, row, a, static_cast<double>(x * std::cos(angle) - y * std::sin(angle)), 0x1p-22);
        expect_element(scene, row, b, static_cast<double>(x * std::sin(angle) + y * std::cos(angle)), 0x1p-22);
      }
      EXPECT_EQ(scene.value(0, row, head * 10 + 8), scene.value(1, row, head * 10 + 8));
      EXPECT_EQ(scene.value(0, row, head * 10 + 9), scene.value(1, row, head * 10 + 9));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Pairs, Rope, ::testing::Values("rope", "rope half split"));

TEST(Rope, at_position_0_nothing_turns) {
  Scene scene = example("rope");
  for (std::uint64_t row = 0; row < 3; ++row) {
    scene.set<std::int32_t>(2, 0, row, 0);
  }
  run(scene);
  for (std::uint64_t i = 0; i < 60; ++i) {
    EXPECT_EQ(scene.value(0, i / 20, i % 20), scene.value(1, i / 20, i % 20));
  }
}

TEST(Rope, an_angle_beyond_2_to_the_31_is_nan) {
  Scene scene = example("rope");
  scene.f(1, 2);
  scene.set<std::int32_t>(2, 0, 0, std::numeric_limits<std::int32_t>::max());
  run(scene);
  EXPECT_TRUE(std::isnan(scene.value(0, 0, 0)));
  EXPECT_FALSE(std::isnan(scene.value(0, 0, 2)));  // a pair that turns slower
}

}  // namespace
}  // namespace npu::testing
