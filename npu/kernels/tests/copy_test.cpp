#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;

const float kNan = std::nanf("");
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A row of these numbers as `to`; with scale and zero point where these are meant.
Scene converted(Type to, const std::vector<float>& values, float scale = 0, std::int32_t zero = 0) {
  Scene scene(Opcode::Copy, {1, static_cast<std::uint32_t>(values.size())});
  scene.f(0, scale).i(1, zero);
  scene.operand({0, to, 1, values.size()}).operand({1, Type::F32, 1, values.size()});
  std::memcpy(scene.bytes(1).data(), values.data(), values.size() * sizeof(float));
  run(scene);
  return scene;
}

TEST(Copy, of_one_type_is_the_same_bytes) {
  for (const char* type : {"f32", "f16", "i8", "i32", "q8_0", "q4_0", "u8"}) {
    Scene scene = example(std::string("copy ") + type + " to " + type);
    run(scene);
    const std::uint64_t bytes = row_bytes(scene.spec(1).type, 96);
    for (std::uint64_t row = 0; row < 3; ++row) {
      EXPECT_EQ(std::memcmp(scene.bytes(0).data() + row * (bytes + 8), scene.bytes(1).data() + row * bytes, bytes), 0);
    }
  }
}

TEST(Copy, to_f32_is_exact) {
  for (const char* type : {"f16", "q8_0", "q4_0"}) {
    Scene scene = example(std::string("copy ") + type + " to f32");
    run(scene);
    for (std::uint64_t i = 0; i < 288; ++i) {
      expect_element(scene, i / 96, i % 96, scene.value(1, i / 96, i % 96), 0);
    }
  }
}

TEST(Copy, to_f16_is_to_the_nearest) {
  Scene scene = converted(Type::F16, {1, 1.0004883F, 65504, 65520, -kInfinity, kNan, 0x1p-24F});
  EXPECT_EQ(scene.value(0, 0, 0), 1);
  EXPECT_EQ(scene.value(0, 0, 1), 1);
  EXPECT_EQ(scene.value(0, 0, 2), 65504);
  EXPECT_EQ(scene.value(0, 0, 3), std::numeric_limits<double>::infinity());
  EXPECT_EQ(scene.value(0, 0, 4), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(scene.value(0, 0, 5)));
  EXPECT_EQ(scene.value(0, 0, 6), 0x1p-24);
}

TEST(Copy, to_integers_is_to_the_nearest_even_and_saturates) {
  const std::vector<float> values = {0, 0.25F, 0.75F, -0.25F, 1e30F, -1e30F, kInfinity, -kInfinity, kNan, 63, -63};
  Scene i8 = converted(Type::I8, values, 0.5F, 3);
  Scene u8 = converted(Type::U8, values, 0.5F, 3);
  Scene i32 = converted(Type::I32, values, 0.5F, -7);
  const double expected_i8[] = {3, 3, 5, 3, 127, -128, 127, -128, 3, 127, -123};
  const double expected_u8[] = {3, 3, 5, 3, 255, 0, 255, 0, 3, 129, 0};
  const double expected_i32[] = {-7, -7, -5, -7, 2147483647, -2147483648, 2147483647, -2147483648, -7, 119, -133};
  for (std::uint64_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(i8.value(0, 0, i), expected_i8[i]) << i;
    EXPECT_EQ(u8.value(0, 0, i), expected_u8[i]) << i;
    EXPECT_EQ(i32.value(0, 0, i), expected_i32[i]) << i;
  }
}

TEST(Copy, the_quotient_is_an_f32) {
  // 0.3 / 0.2 is 1.5 in f32, which goes to 2, and 1.4999998 if it were divided exactly.
  ASSERT_LT(static_cast<double>(0.3F) / static_cast<double>(0.2F), 1.5000001);
  const float quotient = 0.3F / 0.2F;
  EXPECT_EQ(converted(Type::I8, {0.3F}, 0.2F).value(0, 0, 0), static_cast<double>(std::nearbyint(quotient)));
}

TEST(Copy, from_integers_is_the_distance_from_zero_scaled) {
  for (const char* type : {"i8", "u8", "i32"}) {
    Scene scene = example(std::string("copy ") + type + " to f32");
    scene.set<std::uint8_t>(1, 0, 0, 0xFF);
    run(scene);
    for (std::uint64_t i = 0; i < 288; ++i) {
      const double exact = (scene.value(1, i / 96, i % 96) - 3) * static_cast<double>(0.02F);
      expect_element(scene, i / 96, i % 96, exact, rounding(exact, 0));
    }
  }
}

TEST(Copy, to_blocks_and_back_is_within_half_a_step) {
  Scene scene = example("copy f32 to q8_0");
  run(scene);
  for (std::uint64_t row = 0; row < 3; ++row) {
    for (std::uint64_t i = 0; i < 96; ++i) {
      // Numbers are within 2 of 0: the step is at most 2 / 127, and its f16 is 2^-11 of it off, 127 times.
      EXPECT_NEAR(scene.value(0, row, i), scene.value(1, row, i), 1.0 / 127 + 2 * 0x1p-11);
    }
  }
}

TEST(Copy, to_blocks_has_the_largest_at_127) {
  std::vector<float> values(64, 0.0F);
  values[5] = -2.54F;
  values[6] = 1.27F;
  values[33] = kNan;
  Scene scene = converted(Type::Q8_0, values);
  const std::byte* const block = scene.bytes(0).data();
  EXPECT_EQ(static_cast<std::int8_t>(block[2 + 5]), -127);
  EXPECT_EQ(static_cast<std::int8_t>(block[2 + 6]), 64);  // 63.5, to the even one
  EXPECT_NEAR(static_cast<double>(scene.get<_Float16>(0, 0, 0)), 0.02, 1e-5);
  EXPECT_TRUE(std::isnan(scene.value(0, 0, 40)));
}

TEST(Copy, between_bytes_keeps_the_order) {
  Scene up = example("copy i8 to u8");
  run(up);
  Scene down = example("copy u8 to i8");
  run(down);
  for (std::uint64_t i = 0; i < 96; ++i) {
    EXPECT_EQ(up.value(0, 0, i), up.value(1, 0, i) + 128);
    EXPECT_EQ(down.value(0, 0, i), down.value(1, 0, i) - 128);
  }
}

}  // namespace
}  // namespace npu::testing
