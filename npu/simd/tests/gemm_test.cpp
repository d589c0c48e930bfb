// Gemm over shapes with tails of every length.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "agree.hpp"

namespace npu::testing {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;

struct Shape {
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint32_t inner;
};

std::string text_of(const Shape& shape) {
  return std::to_string(shape.rows) + " x " + std::to_string(shape.columns) + " x " + std::to_string(shape.inner);
}

Scene real_gemm(Type weight, const Shape& shape, bool bias) {
  Scene scene(Opcode::Gemm, {shape.rows, shape.columns, shape.inner});
  scene.operand({0, Type::F32, shape.rows, shape.columns, 12}).operand({1, Type::F32, shape.rows, shape.inner, 4});
  scene.operand({2, weight, shape.columns, shape.inner, 4});
  if (bias) {
    scene.operand({3, Type::F32, 1, shape.columns});
  }
  return scene;
}

/// Weights without gaps, which is what is packed.
Scene packable_gemm(const Shape& shape) {
  Scene scene(Opcode::Gemm, {shape.rows, shape.columns, shape.inner});
  scene.operand({0, Type::F32, shape.rows, shape.columns, 12}).operand({1, Type::F32, shape.rows, shape.inner, 4});
  return std::move(
      scene.operand({2, Type::Q8_0, shape.columns, shape.inner}).operand({3, Type::F32, 1, shape.columns}));
}

/// Bytes of a row of blocks: each scale, and each value.
void set_blocks(Scene& scene, std::uint64_t row, std::uint16_t scale, std::uint8_t value) {
  const bool q8 = scene.spec(2).type == Type::Q8_0;
  const std::uint64_t bytes = q8 ? abi::npu::kQ8BlockBytes : abi::npu::kQ4BlockBytes;
  for (std::uint64_t at = 0; at < row_bytes(scene.spec(2).type, scene.spec(2).columns); ++at) {
    const bool low = at % bytes == 0;
    const bool high = at % bytes == 1;
    scene.set<std::uint8_t>(2, row, at, static_cast<std::uint8_t>(low ? scale & 0xFF : high ? scale >> 8 : value));
  }
}

TEST(Gemm, of_real_weights_with_every_tail) {
  for (const Type weight : {Type::F32, Type::F16}) {
    for (const std::uint32_t rows : {1U, 2U, 5U}) {
      for (const std::uint32_t columns : {1U, 3U, 4U, 18U}) {
        for (const std::uint32_t inner : {1U, 15U, 16U, 17U, 50U}) {
          const Shape shape{rows, columns, inner};
          expect_agreement([&] { return real_gemm(weight, shape, inner % 2 == 0); }, text_of(shape));
        }
      }
    }
  }
}

TEST(Gemm, of_blocks_with_every_tail) {
  for (const Type weight : {Type::Q8_0, Type::Q4_0}) {
    for (const std::uint32_t rows : {1U, 3U}) {
      for (const std::uint32_t columns : {1U, 3U, 4U, 18U}) {
        for (const std::uint32_t blocks : {1U, 2U, 3U, 4U, 5U, 11U}) {
          const Shape shape{rows, columns, blocks * 32};
          expect_agreement([&] { return real_gemm(weight, shape, blocks % 2 == 0); }, text_of(shape));
        }
      }
    }
  }
}

TEST(Gemm, of_blocks_in_several_pieces_and_panels) {
  for (const Shape& shape : {Shape{1, 5, 4096 + 96}, Shape{5, 5, 2048 + 32}, Shape{2, 270, 64}}) {
    expect_agreement([&] { return real_gemm(Type::Q8_0, shape, true); }, text_of(shape));
  }
  const Shape both{1, 259, 4096 + 32};
  expect_agreement([&] { return real_gemm(Type::Q4_0, both, true); }, text_of(both));
}

/// Shapes of which weights are packed: strips of 16 columns and rows, four or one at a time, and rows of blocks in
/// pieces.
TEST(Gemm, of_packed_weights) {
  for (const std::uint32_t columns : {16U, 80U, 288U}) {
    for (const std::uint32_t blocks : {1U, 2U, 3U, 4U, 7U}) {
      const Shape shape{5, columns, blocks * 32};
      expect_agreement([&] { return packable_gemm(shape); }, text_of(shape));
    }
  }
  const Shape four_rows{4, 32, (64U + 3U) * 32};
  expect_agreement([&] { return packable_gemm(four_rows); }, text_of(four_rows));
  for (const std::uint32_t blocks : {128U, 256U + 3U}) {
    const Shape shape{1, 80, blocks * 32};
    expect_agreement([&] { return packable_gemm(shape); }, text_of(shape));
  }
}

/// Rows so long that a unit has fewer columns than a strip: it writes its own ones all the same, and no others.
TEST(Gemm, of_packed_weights_where_units_are_not_whole_strips) {
  const auto first_unit = [](Weights weights) {
    Scene scene = packable_gemm({1, 16, 32768 + 64});
    Checked checked = *scene.check();
    EXPECT_EQ(partition(checked).columns_per_unit, 14U);
    const Packed packed = weights == Weights::Packed ? pack(checked, simd_kernels()) : nullptr;
    checked.packed_weights = packed.get();
    std::ranges::fill(scene.bytes(0), std::byte{0x55});
    simd_kernels().kernels[static_cast<unsigned>(Opcode::Gemm)](checked, {.first = 0, .count = 1});
    return std::vector(scene.bytes(0).begin(), scene.bytes(0).end());
  };
  EXPECT_EQ(first_unit(Weights::Packed), first_unit(Weights::InPlace));
}

TEST(Gemm, of_packed_weights_at_their_limits) {
  const auto make = [] {
    Scene scene = packable_gemm({4, 32, 160});
    constexpr std::uint16_t kScales[] = {0x7BFF, 0x0001, 0x7C00, 0xFC00, 0x7E00, 0x7D01, 0x8001, 0x0000};
    for (std::uint32_t i = 0; i < 32; ++i) {
      set_blocks(scene, i, kScales[i % 8], i / 8 % 2 == 0 ? 0x80 : 0x7F);
    }
    for (std::uint64_t i = 0; i < 160; ++i) {
      scene.set<float>(1, 1, i, i % 2 == 0 ? 1e30F : -1e30F);
      scene.set<float>(1, 2, i, 1e-42F);  // products are too small: their sums are 0 or -0
      scene.set<float>(1, 3, i, -1e-42F);
    }
    for (std::uint64_t i = 0; i < 32; ++i) {
      scene.set<float>(3, 0, i, -0.0F);
    }
    scene.set<float>(1, 0, 159, std::nanf(""));
    scene.command.flags = abi::npu::command_flag::kClamp;
    return std::move(scene.f(2, -1e4F).f(3, 1e4F));
  };
  expect_same_bytes(make, "limits");
}

/// How many shapes are tried at random: SIS_NPU_SIMD_ROUNDS, else a few.
int rounds() {
  const char* const text = std::getenv("SIS_NPU_SIMD_ROUNDS");
  return text != nullptr ? std::atoi(text) : 30;
}

TEST(Gemm, of_any_shape) {
  Noise random;
  const auto below = [&](std::uint64_t limit) { return static_cast<std::uint32_t>(random() % limit); };
  for (int round = 0; round < rounds(); ++round) {
    constexpr Type kTypes[] = {Type::F32, Type::F16, Type::Q8_0, Type::Q4_0};
    const std::uint32_t kind = below(4);
    const std::uint32_t unit = kind < 2 ? 1 : 32;
    const Shape shape{1 + below(9), 1 + below(40), unit * (1 + below(320 / unit))};
    const float deviation = static_cast<float>(1 + below(1000)) / 10;
    const auto make = [&] {
      Scene scene = real_gemm(kTypes[kind], shape, round % 2 == 0);
      scene.spread(1, deviation);
      return scene;
    };
    expect_agreement(make, text_of(shape));
    const Shape packable{shape.rows, 16 * (1 + below(12)), 32 * (1 + below(10))};
    expect_agreement([&] { return packable_gemm(packable); }, text_of(packable));
  }
}

/// With the multipliers and shifts that a requantisation must be exact for.
Scene int_gemm(Type output, const Shape& shape, std::uint16_t flags) {
  Scene scene(Opcode::Gemm, {shape.rows, shape.columns, shape.inner}, flags);
  scene.i(0, -37)
      .operand({0, output, shape.rows, shape.columns, 12})
      .operand({1, Type::I8, shape.rows, shape.inner, 5});
  scene.operand({2, Type::I8, shape.columns, shape.inner, 3});
  if (shape.inner % 2 == 0) {
    scene.operand({3, Type::I32, 1, shape.columns});
  }
  if (output == Type::I8) {
    scene.i(1, 11).i(2, -128).i(3, 127);
    const std::uint32_t channels = flags != 0 ? 1 : shape.columns;
    scene.operand({4, Type::I32, 1, channels}).operand({5, Type::I32, 1, channels});
    for (std::uint32_t i = 0; i < channels; ++i) {
      scene.set<std::int32_t>(4, 0, i, static_cast<std::int32_t>(scene.random()));
      scene.set<std::int32_t>(5, 0, i, static_cast<std::int32_t>(i % 80) - 40);
    }
  }
  return scene;
}

TEST(Gemm, of_integers_with_every_tail) {
  for (const Type output : {Type::I8, Type::I32}) {
    for (const std::uint32_t rows : {1U, 7U}) {
      for (const std::uint32_t columns : {1U, 3U, 17U, 66U}) {
        for (const std::uint32_t inner : {1U, 15U, 16U, 64U, 67U, 1025U}) {
          const Shape shape{rows, columns, inner};
          expect_agreement([&] { return int_gemm(output, shape, 0); }, text_of(shape));
        }
      }
    }
  }
}

/// The same with weights without gaps, which are packed.
Scene packable_int_gemm(Type output, const Shape& shape) {
  Scene scene = int_gemm(output, shape, 0);
  return std::move(scene.operand({2, Type::I8, shape.columns, shape.inner}));
}

/// Strips of 16 columns, four or one at a time; rows likewise; steps of four elements, and less.
TEST(Gemm, of_packed_integers) {
  for (const Type output : {Type::I8, Type::I32}) {
    for (const std::uint32_t rows : {1U, 4U, 6U}) {
      for (const std::uint32_t columns : {16U, 80U}) {
        for (const std::uint32_t inner : {1U, 3U, 4U, 70U, 1025U}) {
          const Shape shape{rows, columns, inner};
          expect_agreement([&] { return packable_int_gemm(output, shape); }, text_of(shape));
        }
      }
    }
  }
}

TEST(Gemm, of_packed_integers_at_their_limits) {
  const auto make = [] {
    Scene scene = packable_int_gemm(Type::I32, {4, 16, 130});
    for (std::uint32_t k = 0; k < 130; ++k) {
      for (std::uint32_t i = 0; i < 16; ++i) {
        scene.set<std::int8_t>(2, i, k, i % 2 == 0 ? -128 : 127);
      }
      scene.set<std::int8_t>(1, 0, k, -128);
      scene.set<std::int8_t>(1, 1, k, 127);
    }
    return std::move(scene.i(0, -128));
  };
  expect_agreement(make, "limits");
}

TEST(Gemm, packs_weights_of_whole_strips_side_by_side) {
  const Packing& packing = simd_kernels().packing;
  if (packing.bytes == nullptr) {
    GTEST_SKIP() << simd_kernels().name << " uses weights where they lie";
  }
  EXPECT_EQ(packing.bytes(*packable_gemm({3, 32, 96}).check()), 2 * (128 + 3 * 512)) << "3 x 32 bytes of scales";
  EXPECT_EQ(packing.bytes(*packable_gemm({3, 31, 96}).check()), 0U);
  EXPECT_EQ(packing.bytes(*real_gemm(Type::Q8_0, {3, 32, 96}, true).check()), 0U) << "a gap between rows";
  EXPECT_EQ(packing.bytes(*real_gemm(Type::F16, {3, 32, 96}, true).check()), 0U);
  EXPECT_EQ(packing.bytes(*packable_int_gemm(Type::I8, {3, 32, 9}).check()), 2 * (64 + 3 * 64)) << "64 bytes of sums";
  EXPECT_EQ(packing.bytes(*packable_int_gemm(Type::I8, {3, 33, 9}).check()), 0U);
  EXPECT_EQ(packing.bytes(*int_gemm(Type::I8, {3, 32, 9}, 0).check()), 0U) << "a gap between rows";
}

TEST(Gemm, of_integers_as_long_as_a_prepared_row) {
  for (const std::uint32_t inner : {1023U, 1024U}) {
    expect_agreement([&] { return int_gemm(Type::I32, {5, 5, inner}, 0); }, std::to_string(inner));
  }
}

TEST(Gemm, of_integers_per_tensor) {
  const Shape shape{5, 20, 70};
  expect_agreement([&] { return int_gemm(Type::I8, shape, abi::npu::command_flag::kPerTensor); }, "per tensor");
}

TEST(Gemm, of_integers_at_their_limits) {
  constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  for (const std::int32_t zero : {-128, 0, 127}) {
    const auto make = [&] {
      Scene scene = int_gemm(Type::I8, {2, 338, 8}, 0);
      for (std::uint32_t k = 0; k < 8; ++k) {
        scene.set<std::int8_t>(1, 0, k, -128);
        for (std::uint32_t i = 0; i < 338; ++i) {  // of the others the bias alone
          scene.set<std::int8_t>(2, i, k, static_cast<std::int8_t>(i == 336 ? -128 : i == 337 ? 127 : 0));
        }
      }
      // Saturated before, in and after the multiplication; ties.
      constexpr std::int32_t kBias[] = {kLeast, kMost, 0, 1, -1, 3, -3, 1 << 30};
      constexpr std::int32_t kMultipliers[] = {kLeast, kMost, 1 << 30, -(1 << 30), 0, 1};
      constexpr std::int32_t kShifts[] = {0, 1, -1, 30, -31, kLeast, kMost};
      for (std::uint32_t i = 0; i < 338; ++i) {
        scene.set<std::int32_t>(3, 0, i, kBias[i % 8]);
        scene.set<std::int32_t>(4, 0, i, kMultipliers[i / 8 % 6]);
        scene.set<std::int32_t>(5, 0, i, kShifts[i / 48 % 7]);
      }
      return std::move(scene.i(0, zero));
    };
    expect_agreement(make, "zero point " + std::to_string(zero));
  }
}

TEST(Gemm, of_blocks_at_their_limits) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const Type weight : {Type::Q8_0, Type::Q4_0}) {
    const auto make = [&] {
      Scene scene = real_gemm(weight, {7, 6, 160}, false);
      set_blocks(scene, 0, 0x7BFF, 0x80);  // the largest scale, -128
      set_blocks(scene, 1, 0x0001, 0x7F);  // the least one
      set_blocks(scene, 2, 0x7C00, 1);     // infinite
      set_blocks(scene, 3, 0x7E00, 1);     // NaN
      set_blocks(scene, 4, 0x3C00, 0x88);  // all nibbles 0
      for (std::uint64_t i = 0; i < 160; ++i) {
        scene.set<float>(1, 1, i, 0);
        scene.set<float>(1, 2, i, i % 2 == 0 ? 1e30F : -1e30F);
        scene.set<float>(1, 3, i, static_cast<float>(i) * 1e-45F);
        scene.set<float>(1, 4, i, 127);
      }
      scene.set<float>(1, 5, 70, kInf);
      scene.set<float>(1, 6, 159, std::nanf(""));
      return scene;
    };
    expect_agreement(make, "limits");
  }
}

TEST(Gemm, of_real_numbers_at_their_limits) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const auto make = [&] {
    Scene scene = real_gemm(Type::F32, {5, 6, 40}, true);
    scene.set<float>(1, 0, 3, kInf);
    scene.set<float>(1, 1, 39, std::nanf(""));
    scene.set<float>(2, 2, 17, -kInf);
    for (std::uint64_t i = 0; i < 40; ++i) {
      scene.set<float>(1, 2, i, 1e-42F);
    }
    scene.command.flags = abi::npu::command_flag::kClamp;
    return std::move(scene.f(2, -1).f(3, 2));
  };
  expect_agreement(make, "limits");
}

TEST(Gemm, of_a_row_alone_is_that_row_of_a_batch) {
  for (const Type weight : {Type::F32, Type::F16, Type::Q8_0, Type::Q4_0}) {
    Scene batch = real_gemm(weight, {9, 21, 224}, true);
    run(batch, simd_kernels());
    for (std::uint32_t row = 0; row < 9; ++row) {
      Scene alone = real_gemm(weight, {9, 21, 224}, true);
      alone.command.dims[0] = 1;
      alone.command.operands[1].offset = row * (224 * 4 + 4);
      run(alone, simd_kernels());
      EXPECT_EQ(std::memcmp(alone.bytes(0).data(), batch.bytes(0).data() + row * (21 * 4 + 12), 21 * 4), 0) << row;
    }
  }
}

}  // namespace
}  // namespace npu::testing
