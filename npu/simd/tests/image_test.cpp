// Convolutions and pools: channels with tails, borders, steps, dilation; and Copy between types.
#include <cmath>
#include <limits>

#include "agree.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Shape {
  std::uint32_t height;
  std::uint32_t width;
  std::uint32_t channels;
  std::uint32_t outputs;  ///< channels
  std::uint32_t kernel;   ///< high and wide
  std::uint32_t step;
  std::uint32_t dilation;
  std::uint32_t pad;

  [[nodiscard]] std::uint32_t size(std::uint32_t input) const {
    return (input + 2 * pad - (kernel - 1) * dilation - 1) / step + 1;
  }
};

std::string text_of(const Shape& shape) {
  return std::to_string(shape.height) + " x " + std::to_string(shape.width) + " x " + std::to_string(shape.channels) +
         " to " + std::to_string(shape.outputs) + ", kernel " + std::to_string(shape.kernel);
}

Scene convolution(Opcode opcode, Type type, const Shape& shape) {
  const std::uint32_t height = shape.size(shape.height);
  const std::uint32_t width = shape.size(shape.width);
  Scene scene(opcode, {2, shape.height, shape.width, shape.channels, height, width, shape.outputs, shape.kernel,
                       shape.kernel, shape.step, shape.step, shape.dilation});
  scene.i(4, static_cast<std::int32_t>(shape.pad)).i(5, static_cast<std::int32_t>(shape.pad));
  scene.operand({0, type, 2 * height, width * shape.outputs, 12});
  scene.operand({1, type, 2 * shape.height, shape.width * shape.channels, 4});
  const std::uint32_t taps = shape.kernel * shape.kernel;
  const bool dense = opcode == Opcode::Conv2d;
  scene.operand({2, type, dense ? shape.outputs : taps, dense ? taps * shape.channels : shape.outputs, 8});
  scene.operand({3, type == Type::F32 ? Type::F32 : Type::I32, 1, shape.outputs});
  if (type == Type::I8) {
    scene.i(0, -77).i(1, 3).i(2, -128).i(3, 127);
    scene.operand({4, Type::I32, 1, shape.outputs}).operand({5, Type::I32, 1, shape.outputs});
    for (std::uint32_t i = 0; i < shape.outputs; ++i) {
      scene.set<std::int32_t>(4, 0, i, 1'100'000'000 + static_cast<std::int32_t>(i) * 7919);
      scene.set<std::int32_t>(5, 0, i, -7 - static_cast<std::int32_t>(i % 3));
    }
  }
  return scene;
}

constexpr Shape kShapes[] = {
    {5, 7, 1, 1, 1, 1, 1, 0},   {4, 9, 3, 6, 3, 1, 1, 1},   {3, 11, 16, 16, 3, 1, 1, 1},
    {5, 5, 20, 20, 3, 2, 1, 1}, {7, 7, 2, 18, 3, 1, 2, 2},  {3, 3, 17, 17, 3, 1, 1, 2},
    {4, 20, 4, 4, 1, 1, 1, 0},  {5, 13, 5, 10, 5, 3, 1, 2}, {2, 5, 66, 66, 2, 1, 1, 0},
};

TEST(Convolutions, of_every_shape) {
  for (const Shape& shape : kShapes) {
    for (const Type type : {Type::F32, Type::I8}) {
      for (const Opcode opcode : {Opcode::Conv2d, Opcode::DepthwiseConv2d}) {
        expect_agreement([&] { return convolution(opcode, type, shape); }, text_of(shape));
      }
    }
  }
}

/// Weights without gaps, in whole strips, which are packed where a tap's channels are whole steps.
TEST(Convolutions, of_packed_weights) {
  constexpr Shape kPackable[] = {{5, 7, 4, 16, 3, 1, 1, 1},    {4, 9, 12, 80, 3, 2, 1, 2}, {7, 8, 68, 16, 3, 1, 2, 2},
                                 {3, 5, 1024, 16, 1, 1, 1, 0}, {3, 4, 32, 64, 2, 1, 1, 0}, {3, 6, 6, 16, 3, 1, 1, 0}};
  for (const Shape& shape : kPackable) {
    const auto make = [&] {
      Scene scene = convolution(Opcode::Conv2d, Type::I8, shape);
      return std::move(scene.operand({2, Type::I8, shape.outputs, shape.kernel * shape.kernel * shape.channels}));
    };
    const Scene scene = make();
    const Packed packed = pack(*scene.check(), simd_kernels());
    EXPECT_EQ(packed != nullptr, simd_kernels().packing.bytes != nullptr && shape.channels % 4 == 0) << text_of(shape);
    expect_agreement(make, text_of(shape));
  }
}

TEST(Convolutions, of_numbers_that_are_none) {
  for (const Opcode opcode : {Opcode::Conv2d, Opcode::DepthwiseConv2d}) {
    expect_agreement(
        [&] {
          Scene scene = convolution(opcode, Type::F32, {4, 7, 16, 16, 3, 1, 1, 1});
          // A tap that is outside counts for nothing, whatever its weight.
          scene.set<float>(2, 0, 0, kInf);
          scene.set<float>(1, 3, 20, std::nanf(""));
          scene.command.flags = abi::npu::command_flag::kClamp;
          return std::move(scene.f(2, -1).f(3, 1));
        },
        "infinite weight");
  }
}

Scene pool(Opcode opcode, Type type, const Shape& shape) {
  const std::uint32_t height = shape.size(shape.height);
  const std::uint32_t width = shape.size(shape.width);
  Scene scene(opcode, {2, shape.height, shape.width, shape.channels, height, width, 0, shape.kernel, shape.kernel,
                       shape.step, shape.step});
  if (type == Type::I8) {
    scene.i(2, -90).i(3, 100);
  }
  scene.i(4, static_cast<std::int32_t>(shape.pad)).i(5, static_cast<std::int32_t>(shape.pad));
  scene.operand({0, type, 2 * height, width * shape.channels, 12});
  return std::move(scene.operand({1, type, 2 * shape.height, shape.width * shape.channels, 4}));
}

TEST(Pools, of_every_shape) {
  for (const Shape& shape : kShapes) {
    if (shape.dilation != 1 || shape.pad >= shape.kernel) {
      continue;
    }
    for (const Type type : {Type::F32, Type::I8}) {
      for (const Opcode opcode : {Opcode::MaxPool, Opcode::AvgPool}) {
        expect_agreement([&] { return pool(opcode, type, shape); }, text_of(shape));
      }
    }
  }
}

/// Windows around the largest one whose means are made by vectors, with sums as large as they can be.
TEST(Pools, of_large_windows) {
  for (const std::uint32_t side : {256U, 257U}) {
    const auto make = [&] {
      Scene scene = pool(Opcode::AvgPool, Type::I8, {side, side, 3, 3, side, 1, 1, 0});
      for (std::uint32_t row = 0; row < side; ++row) {
        for (std::uint32_t x = 0; x < side; ++x) {
          scene.set<std::int8_t>(1, row, 3 * x, -128);
          scene.set<std::int8_t>(1, row, 3 * x + 1, (row + x) % 2 == 0 ? 2 : 1);  // the mean is next to 1.5
        }
      }
      return std::move(scene.i(2, -128).i(3, 127));
    };
    expect_agreement(make, std::to_string(side));
  }
}

/// Each mean of nine elements, and of those of them that are inside.
TEST(Pools, of_every_mean) {
  const auto make = [] {
    Scene scene = pool(Opcode::AvgPool, Type::I8, {3, 3, 1024, 1024, 3, 1, 1, 1});
    for (std::uint32_t row = 0; row < 3; ++row) {
      for (std::uint32_t i = 0; i < 3 * 1024; ++i) {
        scene.set(1, row, i, static_cast<std::int8_t>((i % 1024 + row * 3 + i / 1024) / 9 - 57));
      }
    }
    return std::move(scene.i(2, -128).i(3, 127));
  };
  expect_agreement(make, "means");
}

TEST(Pools, of_numbers_that_are_none) {
  for (const Opcode opcode : {Opcode::MaxPool, Opcode::AvgPool}) {
    expect_agreement(
        [&] {
          Scene scene = pool(opcode, Type::F32, {5, 7, 17, 17, 2, 1, 1, 0});
          scene.set<float>(1, 0, 0, std::nanf(""));
          scene.set<float>(1, 1, 20, kInf);
          for (std::uint64_t i = 0; i < 7 * 17; ++i) {
            scene.set<float>(1, 4, i, -kInf);
          }
          return scene;
        },
        "no numbers");
  }
}

TEST(Copies, of_numbers_at_their_limits) {
  const std::vector<float> numbers = {0,     -0.0F, kInf,     -kInf,   std::nanf(""), 65504,  65519.9F, 65520,  -65536,
                                      1e-8F, 6e-8F, 2.98e-8F, 6.1e-5F, 5.9e-8F,       1e30F,  -1e30F,   127.5F, 128.5F,
                                      -0.5F, 1.5F,  2.5F,     254.5F,  255.5F,        1e-41F, 3e9F,     -3e9F};
  for (const Type to : {Type::F16, Type::Q8_0, Type::I8, Type::U8, Type::I32}) {
    for (const std::uint32_t columns : {32U, 64U, 96U}) {
      expect_agreement(
          [&] {
            Scene scene(Opcode::Copy, {3, columns});
            if (to != Type::F16 && to != Type::Q8_0) {
              scene.f(0, 1).i(1, to == Type::U8 ? 7 : -7);
            }
            scene.operand({0, to, 3, columns, 8}).operand({1, Type::F32, 3, columns, 4});
            for (std::uint32_t i = 0; i < columns; ++i) {
              scene.set(1, 1, i, numbers[i % numbers.size()]);
              scene.set(1, 2, i, numbers[i * 7 % numbers.size()] * (i % 3 == 0 ? 1.0F : 0.25F));
            }
            return scene;
          },
          "to type " + std::to_string(static_cast<unsigned>(to)));
    }
  }
}

/// Ratios to a block's scale that are halves of integers, or next to them: a product with the scale's inverse may be on
/// their other side.
TEST(Copies, of_halves_to_blocks) {
  constexpr float kLargest[] = {127, 1, 3.3F, 1e-3F, 7e30F, 1.5e-36F, 1.6e-36F, 1e-40F};
  constexpr std::uint32_t kColumns = 7 * 32;
  expect_agreement(
      [&] {
        Scene scene(Opcode::Copy, {8, kColumns});
        scene.operand({0, Type::Q8_0, 8, kColumns}).operand({1, Type::F32, 8, kColumns});
        for (std::uint32_t row = 0; row < 8; ++row) {
          const float scale = kLargest[row] / 127.0F;
          for (std::uint32_t i = 0; i < kColumns; ++i) {
            const float half = (static_cast<float>(i % 127) + 0.5F) * scale;
            const float near = i / 32 % 3 == 0 ? half : std::nextafter(half, i / 32 % 3 == 1 ? 0.0F : kInf);
            scene.set(1, row, i, i % 32 == 0 ? kLargest[row] : i % 2 == 0 ? near : -near);
          }
        }
        return scene;
      },
      "halves");
}

TEST(Copies, of_every_length) {
  for (const std::uint32_t columns : {1U, 5U, 16U, 19U, 33U}) {
    for (const Type other : {Type::F16, Type::I8, Type::U8}) {
      for (const bool to_f32 : {false, true}) {
        expect_agreement(
            [&] {
              Scene scene(Opcode::Copy, {2, columns});
              if (other != Type::F16) {
                scene.f(0, 0.03F).i(1, 5);
              }
              scene.operand({to_f32 ? 0U : 1U, Type::F32, 2, columns, 4});
              return std::move(scene.operand({to_f32 ? 1U : 0U, other, 2, columns, 2}));
            },
            "of " + std::to_string(columns));
      }
    }
  }
}

TEST(Copies, of_every_half) {
  expect_agreement(
      [] {
        Scene scene(Opcode::Copy, {64, 1024});
        scene.operand({0, Type::F32, 64, 1024}).operand({1, Type::F16, 64, 1024});
        for (std::uint32_t i = 0; i < 65536; ++i) {
          scene.set<std::uint16_t>(1, i / 1024, i % 1024, static_cast<std::uint16_t>(i));
        }
        return scene;
      },
      "all f16");
}

}  // namespace
}  // namespace npu::testing
