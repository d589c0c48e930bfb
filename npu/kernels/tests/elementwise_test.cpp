#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;
using Wide = long double;

const float kNan = std::nanf("");
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A command on one row of these numbers, and of those as the second input.
Scene on(Opcode opcode, const std::vector<float>& a, const std::vector<float>& b = {}) {
  Scene scene(opcode, {1, static_cast<std::uint32_t>(a.size())});
  for (const unsigned i : {0U, 1U, 2U}) {
    if (i < 2 || !b.empty()) {
      scene.operand({i, Type::F32, 1, a.size()});
    }
  }
  std::memcpy(scene.bytes(1).data(), a.data(), a.size() * sizeof(float));
  if (!b.empty()) {
    std::memcpy(scene.bytes(2).data(), b.data(), b.size() * sizeof(float));
  }
  return scene;
}

std::vector<float> results(Scene scene) {
  run(scene);
  std::vector<float> values(scene.spec(0).columns);
  std::memcpy(values.data(), scene.bytes(0).data(), values.size() * sizeof(float));
  return values;
}

/// Numbers of every magnitude, both signs.
std::vector<float> numbers() {
  std::vector<float> all = {0, -0.0F};
  for (int exponent = -149; exponent < 128; ++exponent) {
    const float base = std::ldexp(1.0F, exponent);
    all.insert(all.end(), {base, -base, 1.37F * base, -1.91F * base});
  }
  for (int i = -200; i <= 200; ++i) {
    all.push_back(static_cast<float>(i) / 16);
  }
  return all;
}

void expect_close(Opcode opcode, Wide (*function)(Wide)) {
  const std::vector<float> x = numbers();
  const std::vector<float> y = results(on(opcode, x));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Wide expected = function(static_cast<Wide>(x[i]));
    // Rounded once to f32, of which the least is 2^-149.
    ASSERT_NEAR(static_cast<double>(y[i]), static_cast<double>(expected),
                static_cast<double>(std::abs(expected)) * 0x1.001p-24 + 0x1p-150)
        << "of " << x[i];
  }
}

TEST(Silu, is_x_times_its_sigmoid) {
  expect_close(Opcode::Silu, [](Wide x) { return x / (1 + std::exp(-x)); });
}

TEST(Gelu, is_the_form_with_tanh) {
  expect_close(Opcode::Gelu, [](Wide x) {
    const Wide u = 0.7978845608028653558798921L * (x + 0.044715L * x * x * x);
    // 1 + tanh u loses its digits below 0; this is the same.
    return x / (1 + std::exp(-2 * u));
  });
  const std::vector<float> y = results(on(Opcode::Gelu, {1, -1, 3}));
  EXPECT_NEAR(static_cast<double>(y[0]), 0.5 * (1 + std::tanh(0.7978845608028654 * 1.044715)), 1e-7);
  EXPECT_NEAR(static_cast<double>(y[1]), -0.5 * (1 - std::tanh(0.7978845608028654 * 1.044715)), 1e-7);
  EXPECT_NEAR(static_cast<double>(y[2]), 1.5 * (1 + std::tanh(0.7978845608028654 * (3 + 0.044715 * 27))), 2e-7);
}

TEST(Relu, is_zero_below_zero) {
  const std::vector<float> y = results(on(Opcode::Relu, {-1, 0, 2.5F, -kInfinity, kInfinity, kNan}));
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[2], 2.5F);
  EXPECT_EQ(y[3], 0);
  EXPECT_EQ(y[4], kInfinity);
  EXPECT_TRUE(std::isnan(y[5]));
}

TEST(Elementwise, infinities_are_what_the_formulas_say) {
  for (const Opcode opcode : {Opcode::Silu, Opcode::Gelu}) {
    const std::vector<float> y = results(on(opcode, {kInfinity, -kInfinity, kNan, -1e30F, 1e30F}));
    EXPECT_EQ(y[0], kInfinity);
    EXPECT_TRUE(std::isnan(y[1]));
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_EQ(y[3], 0);
    EXPECT_EQ(y[4], 1e30F);
  }
}

TEST(Add, is_as_f32_adds) {
  const std::vector<float> a = {1, 16777216, 3e38F, 0.1F, kInfinity, 0x1p-149F};
  const std::vector<float> b = {2, 1, 3e38F, 0.2F, -kInfinity, 0x1p-149F};
  const std::vector<float> y = results(on(Opcode::Add, a, b));
  for (std::size_t i = 0; i + 2 < a.size(); ++i) {
    EXPECT_EQ(y[i], a[i] + b[i]);
  }
  EXPECT_TRUE(std::isnan(y[4]));
  EXPECT_EQ(y[5], 0x1p-148F);
}

TEST(Mul, is_as_f32_multiplies) {
  const std::vector<float> a = {1.1F, 1e30F, 1e-30F, 0, -3};
  const std::vector<float> b = {2.3F, 1e30F, 1e-15F, kInfinity, 0.1F};
  const std::vector<float> y = results(on(Opcode::Mul, a, b));
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(std::isnan(a[i] * b[i]) ? std::isnan(y[i]) : y[i] == a[i] * b[i]) << i;
  }
}

TEST(Add, one_row_is_added_to_all_and_clamped) {
  Scene scene = example("add row, clamped");
  run(scene);
  for (std::uint64_t row = 0; row < 3; ++row) {
    for (std::uint64_t i = 0; i < 70; ++i) {
      const float sum = scene.get<float>(1, row, i) + scene.get<float>(2, 0, i);
      EXPECT_EQ(scene.get<float>(0, row, i), std::clamp(sum, -1.0F, 1.0F));
    }
  }
}

TEST(Clamp, leaves_nan_and_takes_infinity) {
  Scene scene = on(Opcode::Mul, {kNan, kInfinity, -kInfinity}, {1, 1, 1});
  scene.command.flags = abi::npu::command_flag::kClamp;
  const std::vector<float> y = results(std::move(scene.f(2, -2).f(3, 6)));
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 6);
  EXPECT_EQ(y[2], -2);
}

TEST(SwiGlu, is_the_first_ones_silu_times_the_second) {
  Scene scene = example("swiglu");
  run(scene);
  for (std::uint64_t row = 0; row < 3; ++row) {
    for (std::uint64_t i = 0; i < 70; ++i) {
      const double a = scene.value(1, row, i);
      const double expected = a / (1 + std::exp(-a)) * scene.value(2, row, i);
      expect_element(scene, row, i, expected, rounding(expected, std::abs(expected)));
    }
  }
}

TEST(Scale, multiplies_and_adds) {
  Scene scene = example("scale");
  run(scene);
  for (std::uint64_t i = 0; i < 70; ++i) {
    const double expected = scene.value(1, 2, i) * 2 + 0.25;
    expect_element(scene, 2, i, expected, rounding(expected, 0));
  }
}

}  // namespace
}  // namespace npu::testing
