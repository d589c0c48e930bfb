// Convolutions and pools, against loops over output and input pixels that ask which taps connect them.
#include <algorithm>
#include <array>
#include <functional>

#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;
namespace image = abi::npu::dim::image;

struct Shape {
  std::uint32_t batch, height, width, channels, out_height, out_width, out_channels, kernel_height, kernel_width,
      stride_height, stride_width, dilation, pad_top, pad_left;
};

bool is_pool(Opcode opcode) { return opcode == Opcode::MaxPool || opcode == Opcode::AvgPool; }

/// As many output pixels as the checker lets be, up to some.
Shape any_shape(Noise& noise, Opcode opcode) {
  const auto upto = [&](std::uint64_t limit) { return static_cast<std::uint32_t>(1 + noise() % limit); };
  Shape s{};
  s.batch = upto(2);
  s.height = upto(7);
  s.width = upto(7);
  s.channels = upto(4);
  s.kernel_height = upto(4);
  s.kernel_width = upto(4);
  s.stride_height = upto(3);
  s.stride_width = upto(3);
  s.dilation = is_pool(opcode) ? 0 : upto(3);
  const std::uint32_t step = std::max(s.dilation, 1U);
  s.pad_top = static_cast<std::uint32_t>(noise() % ((s.kernel_height - 1) * step + 1));
  s.pad_left = static_cast<std::uint32_t>(noise() % ((s.kernel_width - 1) * step + 1));
  s.out_height = upto((s.height + s.pad_top - 1) / s.stride_height + 1);
  s.out_width = upto((s.width + s.pad_left - 1) / s.stride_width + 1);
  s.out_channels = is_pool(opcode) ? 0 : opcode == Opcode::Conv2d ? upto(5) : s.channels * upto(3);
  return s;
}

Scene scene_of(Opcode opcode, Type type, const Shape& s) {
  Scene scene(opcode, {s.batch, s.height, s.width, s.channels, s.out_height, s.out_width, s.out_channels,
                       s.kernel_height, s.kernel_width, s.stride_height, s.stride_width, s.dilation});
  const std::uint64_t channels = is_pool(opcode) ? s.channels : s.out_channels;
  scene.i(4, static_cast<std::int32_t>(s.pad_top)).i(5, static_cast<std::int32_t>(s.pad_left));
  scene.operand({0, type, std::uint64_t{s.batch} * s.out_height, s.out_width * channels, 8});
  scene.operand({1, type, std::uint64_t{s.batch} * s.height, std::uint64_t{s.width} * s.channels, 4});
  if (is_pool(opcode)) {
    return type == Type::I8 ? std::move(scene.i(2, -120).i(3, 100)) : std::move(scene);
  }
  const std::uint64_t taps = std::uint64_t{s.kernel_height} * s.kernel_width;
  if (opcode == Opcode::Conv2d) {
    scene.operand({2, type, s.out_channels, taps * s.channels, 4});
  } else {
    scene.operand({2, type, taps, s.out_channels, 4});
  }
  scene.operand({3, type == Type::I8 ? Type::I32 : Type::F32, 1, s.out_channels});
  if (type == Type::I8) {
    scene.i(0, -7).i(1, 3).i(2, -128).i(3, 127);
    scene.operand({4, Type::I32, 1, s.out_channels}).operand({5, Type::I32, 1, s.out_channels});
    for (std::uint64_t i = 0; i < s.out_channels; ++i) {
      scene.set<std::int32_t>(4, 0, i, 1'200'000'000 + static_cast<std::int32_t>(i));
      scene.set<std::int32_t>(5, 0, i, -9);
    }
  }
  return scene;
}

/// Calls visit(input pixel's row and column in the operand, tap) for those that an output pixel's window has.
void each_connection(const Shape& s, std::uint32_t b, std::uint32_t oy, std::uint32_t ox,
                     const std::function<void(std::uint64_t, std::uint64_t, std::uint64_t)>& visit) {
  const int step = std::max(static_cast<int>(s.dilation), 1);
  for (int y = 0; y < static_cast<int>(s.height); ++y) {
    for (int x = 0; x < static_cast<int>(s.width); ++x) {
      const int down = y - static_cast<int>(oy * s.stride_height) + static_cast<int>(s.pad_top);
      const int across = x - static_cast<int>(ox * s.stride_width) + static_cast<int>(s.pad_left);
      if (down % step == 0 && across % step == 0 && down >= 0 && across >= 0 &&
          down / step < static_cast<int>(s.kernel_height) && across / step < static_cast<int>(s.kernel_width)) {
        visit(b * s.height + static_cast<unsigned>(y), static_cast<std::uint64_t>(x),
              static_cast<std::uint64_t>(down / step) * s.kernel_width + static_cast<unsigned>(across / step));
      }
    }
  }
}

/// Calls visit(batch, output row, output column, channel) for every output element.
void each_output(const Shape& s, std::uint32_t channels,
                 const std::function<void(std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t)>& visit) {
  for (std::uint32_t b = 0; b < s.batch; ++b) {
    for (std::uint32_t y = 0; y < s.out_height; ++y) {
      for (std::uint32_t x = 0; x < s.out_width; ++x) {
        for (std::uint32_t c = 0; c < channels; ++c) {
          visit(b, y, x, c);
        }
      }
    }
  }
}

/// The sum of the products of an output element, without the bias; `zero` is taken from each input.
double convolved(Scene& scene, const Shape& s, std::array<std::uint32_t, 4> at, double zero) {
  const auto [b, y, x, c] = at;
  const bool dense = scene.command.opcode == static_cast<unsigned>(Opcode::Conv2d);
  double sum = 0;
  each_connection(s, b, y, x, [&](std::uint64_t row, std::uint64_t column, std::uint64_t tap) {
    for (std::uint64_t i = 0; i < s.channels; ++i) {
      const double input = scene.value(1, row, column * s.channels + i) - zero;
      if (dense) {
        sum += input * scene.value(2, c, tap * s.channels + i);
      } else if (i == c / (s.out_channels / s.channels)) {
        sum += input * scene.value(2, tap, c);
      }
    }
  });
  return sum;
}

class Convolution : public ::testing::TestWithParam<Opcode> {};

TEST_P(Convolution, of_f32_is_the_sum_over_the_window) {
  Noise noise;
  for (int repeat = 0; repeat < 30; ++repeat) {
    const Shape s = any_shape(noise, GetParam());
    Scene scene = scene_of(GetParam(), Type::F32, s);
    run(scene);
    each_output(s, s.out_channels, [&](std::uint32_t b, std::uint32_t y, std::uint32_t x, std::uint32_t c) {
      const double expected = convolved(scene, s, {b, y, x, c}, 0) + scene.value(3, 0, c);
      expect_element(scene, b * s.out_height + y, x * s.out_channels + c, expected, rounding(expected, 400));
    });
  }
}

TEST_P(Convolution, of_i8_is_requantised) {
  Noise noise;
  for (int repeat = 0; repeat < 30; ++repeat) {
    const Shape s = any_shape(noise, GetParam());
    Scene scene = scene_of(GetParam(), Type::I8, s);
    run(scene);
    each_output(s, s.out_channels, [&](std::uint32_t b, std::uint32_t y, std::uint32_t x, std::uint32_t c) {
      const double sum = convolved(scene, s, {b, y, x, c}, -7) + scene.value(3, 0, c);
      const double scaled = std::round(sum * scene.value(4, 0, c) * std::pow(2.0, -31 - 9)) + 3;
      // The two roundings may be one apart from a single one.
      expect_element(scene, b * s.out_height + y, x * s.out_channels + c, std::clamp(scaled, -128.0, 127.0), 1);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Convolution, ::testing::Values(Opcode::Conv2d, Opcode::DepthwiseConv2d));

/// What a pool's window holds of a channel.
std::vector<double> pooled(Scene& scene, const Shape& s, std::array<std::uint32_t, 4> at) {
  const auto [b, y, x, c] = at;
  std::vector<double> values;
  each_connection(s, b, y, x, [&, channel = c](std::uint64_t row, std::uint64_t column, std::uint64_t) {
    values.push_back(scene.value(1, row, column * s.channels + channel));
  });
  return values;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) {
    sum += value;
  }
  return sum / static_cast<double>(values.size());
}

class Pool : public ::testing::TestWithParam<Type> {};

TEST_P(Pool, has_the_largest_of_the_window) {
  Noise noise;
  for (int repeat = 0; repeat < 30; ++repeat) {
    const Shape s = any_shape(noise, Opcode::MaxPool);
    Scene scene = scene_of(Opcode::MaxPool, GetParam(), s);
    run(scene);
    each_output(s, s.channels, [&](std::uint32_t b, std::uint32_t y, std::uint32_t x, std::uint32_t c) {
      const std::vector<double> values = pooled(scene, s, {b, y, x, c});
      ASSERT_FALSE(values.empty());
      const double largest = *std::max_element(values.begin(), values.end());
      expect_element(scene, b * s.out_height + y, x * s.channels + c,
                     GetParam() == Type::I8 ? std::clamp(largest, -120.0, 100.0) : largest, 0);
    });
  }
}

TEST_P(Pool, has_the_mean_of_what_is_inside) {
  Noise noise;
  for (int repeat = 0; repeat < 30; ++repeat) {
    const Shape s = any_shape(noise, Opcode::AvgPool);
    Scene scene = scene_of(Opcode::AvgPool, GetParam(), s);
    run(scene);
    each_output(s, s.channels, [&](std::uint32_t b, std::uint32_t y, std::uint32_t x, std::uint32_t c) {
      const double exact = mean(pooled(scene, s, {b, y, x, c}));
      const bool i8 = GetParam() == Type::I8;  // ties away from 0, as std::round() has them
      expect_element(scene, b * s.out_height + y, x * s.channels + c,
                     i8 ? std::clamp(std::round(exact), -120.0, 100.0) : exact, i8 ? 0 : rounding(exact, 40));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Pool, ::testing::Values(Type::F32, Type::I8));

TEST(MaxPool, of_a_nan_is_nan) {
  Scene scene(Opcode::MaxPool, {1, 1, 3, 1, 1, 2, 0, 1, 2, 1, 1});
  scene.operand({0, Type::F32, 1, 2}).operand({1, Type::F32, 1, 3});
  const float values[] = {std::nanf(""), 5, -std::numeric_limits<float>::infinity()};
  std::memcpy(scene.bytes(1).data(), values, sizeof(values));
  run(scene);
  EXPECT_TRUE(std::isnan(scene.value(0, 0, 0)));
  EXPECT_EQ(scene.value(0, 0, 1), 5);
}

TEST(Convolution, of_f32_is_clamped) {
  Scene scene = example("conv2d f32");
  scene.f(2, -0.5F).f(3, 0.25F);
  run(scene);
  for (std::uint64_t row = 0; row < 4; ++row) {
    for (std::uint64_t i = 0; i < 30; ++i) {
      EXPECT_GE(scene.value(0, row, i), -0.5);
      EXPECT_LE(scene.value(0, row, i), 0.25);
    }
  }
}

TEST(Convolution, windows_wholly_in_the_padding_have_the_bias) {
  // A kernel of 2 by 1 with dilation 2 over one pixel, padded by 1: its taps are at -1 and 1.
  Scene scene(Opcode::Conv2d, {1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 2});
  scene.i(4, 1).operand({0, Type::F32, 1, 1}).operand({1, Type::F32, 1, 1}).operand({2, Type::F32, 1, 2});
  scene.operand({3, Type::F32, 1, 1}).set<float>(3, 0, 0, 0.75F);
  run(scene);
  EXPECT_EQ(scene.value(0, 0, 0), 0.75);
}

}  // namespace
}  // namespace npu::testing
