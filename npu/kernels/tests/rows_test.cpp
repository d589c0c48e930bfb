#include <algorithm>
#include <numeric>

#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;

const float kNan = std::nanf("");
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class EmbedRows : public ::testing::TestWithParam<const char*> {};

TEST_P(EmbedRows, are_the_rows_of_the_table) {
  Scene scene = example(GetParam());
  for (std::uint64_t row = 0; row < 4; ++row) {
    scene.set<std::int32_t>(2, 0, row, static_cast<std::int32_t>((row * 7) % 8));
  }
  run(scene);
  for (std::uint64_t row = 0; row < 4; ++row) {
    for (std::uint64_t i = 0; i < 64; ++i) {
      expect_element(scene, row, i, scene.value(1, (row * 7) % 8, i), 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, EmbedRows,
                         ::testing::Values("embed rows f32", "embed rows f16", "embed rows q8_0", "embed rows q4_0"));

TEST(EmbedRows, an_id_out_of_range_ends_the_command) {
  for (const std::int32_t bad :
       {8, -1, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()}) {
    Scene scene = example("embed rows f32");
    scene.set<std::int32_t>(2, 0, 2, bad);
    const auto checked = scene.check();
    ASSERT_TRUE(checked);
    const auto reason = scalar_kernels().kernels[static_cast<unsigned>(Opcode::EmbedRows)](
        *checked, {.first = 0, .count = partition(*checked).units});
    EXPECT_EQ(reason, abi::npu::Reason::IndexRange) << bad;
  }
}

/// The index of the largest of these.
double arg_max(const std::vector<float>& values) {
  Scene scene(Opcode::ArgMax, {1, static_cast<std::uint32_t>(values.size())});
  scene.operand({0, Type::I32, 1, 1}).operand({1, Type::F32, 1, values.size()});
  std::memcpy(scene.bytes(1).data(), values.data(), values.size() * sizeof(float));
  run(scene);
  return scene.value(0, 0, 0);
}

TEST(ArgMax, is_the_first_of_the_largest) {
  EXPECT_EQ(arg_max({1, 5, 3, 5}), 1);
  EXPECT_EQ(arg_max({7}), 0);
  EXPECT_EQ(arg_max({-kInfinity, -3, -kInfinity}), 1);
  EXPECT_EQ(arg_max({-kInfinity, -kInfinity}), 0);
  EXPECT_EQ(arg_max({-0.0F, 0.0F}), 0);
  EXPECT_EQ(arg_max({1, kInfinity, kInfinity}), 1);
}

TEST(ArgMax, is_no_nan) {
  EXPECT_EQ(arg_max({kNan, 1, kNan, 2}), 3);
  EXPECT_EQ(arg_max({kNan, -kInfinity}), 1);
  EXPECT_EQ(arg_max({3, kNan}), 0);
  EXPECT_EQ(arg_max({kNan, kNan}), 0);
}

TEST(ArgMax, is_of_integers_too) {
  Scene scene = example("arg max i8");
  run(scene);
  for (std::uint64_t row = 0; row < 3; ++row) {
    const auto found = static_cast<std::uint64_t>(scene.value(0, 0, row));
    for (std::uint64_t i = 0; i < 13; ++i) {
      EXPECT_LE(scene.value(1, row, i), scene.value(1, row, found));
      EXPECT_TRUE(i >= found || scene.value(1, row, i) < scene.value(1, row, found));
    }
  }
}

/// As TopK orders them.
std::vector<std::int32_t> ranking(const std::vector<float>& values) {
  std::vector<std::int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    const float x = values[static_cast<std::size_t>(a)];
    const float y = values[static_cast<std::size_t>(b)];
    if (std::isnan(x) != std::isnan(y)) {
      return std::isnan(y);
    }
    return x > y || (!(x < y) && a < b);
  });
  return order;
}

void expect_top(const std::vector<float>& values, std::uint32_t top) {
  Scene scene(Opcode::TopK, {1, static_cast<std::uint32_t>(values.size()), top});
  scene.operand({0, Type::F32, 1, top}).operand({1, Type::F32, 1, values.size()}).operand({2, Type::I32, 1, top});
  std::memcpy(scene.bytes(1).data(), values.data(), values.size() * sizeof(float));
  run(scene);
  const std::vector<std::int32_t> order = ranking(values);
  for (std::uint64_t i = 0; i < top; ++i) {
    ASSERT_EQ(scene.value(2, 0, i), order[i]) << "rank " << i << " of " << top;
    const double value = static_cast<double>(values[static_cast<std::size_t>(order[i])]);
    ASSERT_TRUE(std::isnan(value) ? std::isnan(scene.value(0, 0, i)) : scene.value(0, 0, i) == value);
  }
}

TEST(TopK, are_the_largest_in_their_order) {
  Noise noise;
  for (const std::uint32_t top : {1U, 2U, 3U, 17U, 40U}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::vector<float> values(40);
      for (float& value : values) {
        // Few different ones, so that many are equal; some that are none.
        const std::uint64_t drawn = noise() % 16;
        value = drawn == 15 ? kNan : drawn == 14 ? -kInfinity : static_cast<float>(drawn) - 7;
      }
      expect_top(values, top);
    }
  }
}

TEST(TopK, of_sorted_numbers_and_of_nothing_but_nan) {
  std::vector<float> up(300);
  std::iota(up.begin(), up.end(), 0.0F);
  expect_top(up, abi::npu::kMaxTop);
  std::reverse(up.begin(), up.end());
  expect_top(up, abi::npu::kMaxTop);
  expect_top(std::vector<float>(5, kNan), 3);
  expect_top(std::vector<float>(5, 2.0F), 5);
}

}  // namespace
}  // namespace npu::testing
