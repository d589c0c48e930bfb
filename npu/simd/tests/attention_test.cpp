// Attention and Rope: blocks of positions, heads of every size, scores that are no numbers.
#include <cmath>
#include <limits>

#include "agree.hpp"
#include "npu/kernels/real.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;

struct Shape {
  std::uint32_t rows;
  std::uint32_t query_heads;
  std::uint32_t key_heads;
  std::uint32_t elements;
  std::uint32_t past;
};

Scene attention(const Shape& shape, Type keys, Type values) {
  Scene scene(Opcode::Attention, {shape.rows, shape.query_heads, shape.key_heads, shape.elements, shape.past});
  const std::uint32_t width = shape.query_heads * shape.elements;
  const std::uint32_t cache = shape.key_heads * shape.elements;
  scene.f(0, 0.3F).operand({0, Type::F32, shape.rows, width, 4}).operand({1, Type::F32, shape.rows, width});
  scene.operand({2, keys, shape.past + shape.rows, cache, 4});
  return std::move(scene.operand({3, values, shape.past + shape.rows, cache, 8}));
}

TEST(Attention, of_heads_and_caches_of_every_size) {
  for (const Shape& shape :
       {Shape{1, 1, 1, 1, 0}, Shape{3, 4, 2, 16, 5}, Shape{2, 2, 2, 6, 61}, Shape{2, 2, 1, 80, 63},
        Shape{1, 8, 1, 64, 70}, Shape{1, 1, 1, 256, 65}, Shape{66, 1, 1, 3, 0}, Shape{1, 12, 2, 20, 3}}) {
    for (const Type keys : {Type::F32, Type::F16}) {
      for (const Type values : {Type::F32, Type::F16}) {
        expect_agreement([&] { return attention(shape, keys, values); }, "past " + std::to_string(shape.past));
      }
    }
  }
}

TEST(Attention, of_scores_that_are_no_numbers) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const float score : {kInf, -kInf, std::nanf("")}) {
    for (const std::uint32_t count : {1U, 64U, 100U, 140U}) {
      expect_agreement(
          [&] {
            Scene scene = attention({1, 2, 1, 4, 139}, Type::F32, Type::F32);
            for (std::uint32_t head = 0; head < 2; ++head) {
              scene.set<float>(1, 0, head * 4, 1);
            }
            for (std::uint32_t at = 0; at < count; ++at) {
              scene.set<float>(2, at, 0, score);
            }
            return scene;
          },
          std::to_string(count) + " scores");
    }
  }
}

Scene rope(std::uint32_t elements, std::uint32_t rotated, std::uint16_t flags) {
  Scene scene(Opcode::Rope, {5, 3, elements, rotated}, flags);
  scene.f(0, 10000).f(1, 1).operand({0, Type::F32, 5, 3 * elements, 4}).operand({1, Type::F32, 5, 3 * elements});
  scene.operand({2, Type::I32, 1, 5});
  scene.set<std::int32_t>(2, 0, 3, std::numeric_limits<std::int32_t>::max());
  scene.set<std::int32_t>(2, 0, 4, std::numeric_limits<std::int32_t>::min());
  return scene;
}

TEST(Rope, of_heads_of_every_size) {
  for (const std::uint16_t flags : {std::uint16_t{0}, abi::npu::command_flag::kHalfSplit}) {
    for (const std::uint32_t rotated : {2U, 10U, 64U, 130U, 194U}) {
      for (const std::uint32_t rest : {0U, 3U}) {
        expect_agreement([&] { return rope(rotated + rest, rotated, flags); }, std::to_string(rotated));
      }
    }
  }
}

/// Turned, (1, 0) is the cosine and the sine.
TEST(Rope, has_the_angles_of_the_scalar_functions) {
  constexpr std::uint32_t kRows = 600;
  constexpr std::uint32_t kPairs = 70;
  for (const float base : {10000.0F, 500000.0F, 1e-38F, 3e38F}) {
    Scene scene(Opcode::Rope, {kRows, 1, 2 * kPairs, 2 * kPairs});
    scene.f(0, base).f(1, 0.75F).operand({0, Type::F32, kRows, 2 * kPairs}).operand({1, Type::F32, kRows, 2 * kPairs});
    scene.operand({2, Type::I32, 1, kRows});
    for (std::uint32_t row = 0; row < kRows; ++row) {
      scene.set(2, 0, row, static_cast<std::int32_t>(row < 300 ? row : scene.random()));
      for (std::uint32_t i = 0; i < kPairs; ++i) {
        scene.set(1, row, 2 * i, 1.0F);
        scene.set(1, row, 2 * i + 1, 0.0F);
      }
    }
    run(scene, simd_kernels());
    const double logarithm = npu::logarithm(static_cast<double>(base));
    std::uint32_t wrong = 0;
    for (std::uint32_t row = 0; row < kRows; ++row) {
      for (std::uint32_t i = 0; i < kPairs; ++i) {
        const double position = scene.get<std::int32_t>(2, 0, row);
        const SineCosine turn =
            sine_cosine(position * 0.75 * exponential(-static_cast<double>(i) / kPairs * logarithm));
        const auto same = [&](std::uint32_t column, double wanted) {
          const auto found = scene.get<float>(0, row, column);
          return found == static_cast<float>(wanted) || (std::isnan(found) && std::isnan(wanted));
        };
        wrong += same(2 * i, turn.cosine) && same(2 * i + 1, turn.sine) ? 0 : 1;
      }
    }
    EXPECT_EQ(wrong, 0U) << "base " << base;
  }
}

}  // namespace
}  // namespace npu::testing
