// What holds for every command: units cover the output, each alone; nothing else is written; in place is the same.
#include <algorithm>

#include "npu/simd/kernels.hpp"
#include "run.hpp"

namespace npu::testing {
namespace {

using abi::npu::kMaxOperands;
using abi::npu::Opcode;
using abi::npu::Type;

std::vector<std::vector<std::byte>> contents(Scene& scene) {
  std::vector<std::vector<std::byte>> all(kMaxOperands);
  for (unsigned i = 0; i < kMaxOperands; ++i) {
    if (scene.has(i)) {
      const std::span<std::byte> bytes = scene.bytes(i);
      all[i].assign(bytes.begin(), bytes.end());
    }
  }
  return all;
}

bool is_output(const Scene& scene, unsigned operand) {
  return operand == 0 || (operand == 2 && scene.command.opcode == static_cast<unsigned>(Opcode::TopK));
}

class EveryCommand : public ::testing::TestWithParam<Example> {};

void expect_only_outputs_written(const Example& example, const KernelSet& set) {
  Scene scene = example.make();
  const auto before = contents(scene);
  run(scene, set);
  const auto after = contents(scene);
  for (unsigned i = 0; i < kMaxOperands; ++i) {
    if (!is_output(scene, i)) {
      EXPECT_EQ(before[i], after[i]) << "operand " << i;
      continue;
    }
    const std::uint64_t row = row_bytes(scene.spec(i).type, scene.spec(i).columns);
    for (std::uint64_t at = 0; at < after[i].size(); ++at) {
      if (at % (row + scene.spec(i).gap) >= row) {
        ASSERT_EQ(before[i][at], after[i][at]) << "a byte between two rows, " << at;
      }
    }
  }
}

TEST_P(EveryCommand, writes_its_outputs_rows_and_nothing_else) {
  expect_only_outputs_written(GetParam(), scalar_kernels());
  expect_only_outputs_written(GetParam(), simd_kernels());
}

/// The same from two different backgrounds.
void expect_all_written(const Example& example, const KernelSet& set) {
  Scene zeros = example.make();
  Scene ones = example.make();
  if (zeros.command.opcode == 0) {
    return;
  }
  for (unsigned i = 0; i < kMaxOperands; ++i) {
    if (is_output(zeros, i)) {
      std::ranges::fill(zeros.bytes(i), std::byte{0});
      std::ranges::fill(ones.bytes(i), std::byte{0xFF});
    }
  }
  run(zeros, set);
  run(ones, set);
  const std::uint64_t row = row_bytes(zeros.spec(0).type, zeros.spec(0).columns);
  for (std::uint64_t at = 0; at < zeros.bytes(0).size(); ++at) {
    if (at % (row + zeros.spec(0).gap) < row) {
      ASSERT_EQ(zeros.bytes(0)[at], ones.bytes(0)[at]) << at;
    }
  }
}

TEST_P(EveryCommand, writes_all_of_its_output) {
  expect_all_written(GetParam(), scalar_kernels());
  expect_all_written(GetParam(), simd_kernels());
}

void expect_same_in_place(const Example& example, const KernelSet& set) {
  Scene apart = example.make();
  if (!apart.has(0)) {
    return;
  }
  run(apart, set);
  for (const unsigned input : {1U, 2U}) {
    Scene in_place = example.make();
    in_place.command.operands[0] = in_place.command.operands[input];
    const auto checked = in_place.check();
    if (!checked) {
      continue;
    }
    run(in_place, set);
    const std::uint64_t row = row_bytes(apart.spec(0).type, apart.spec(0).columns);
    for (std::uint64_t r = 0; r < apart.spec(0).rows; ++r) {
      const std::byte* const expected = apart.bytes(0).data() + r * (row + apart.spec(0).gap);
      const std::byte* const found = in_place.bytes(input).data() + r * (row + in_place.spec(input).gap);
      ASSERT_EQ(std::memcmp(expected, found, row), 0) << "row " << r << " over operand " << input;
    }
  }
}

TEST_P(EveryCommand, is_the_same_in_place_where_that_is_allowed) {
  expect_same_in_place(GetParam(), scalar_kernels());
  expect_same_in_place(GetParam(), simd_kernels());
}

std::string name_of(const ::testing::TestParamInfo<Example>& info) {
  std::string name = info.param.name;
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Commands, EveryCommand, ::testing::ValuesIn(examples()), name_of);

/// FNV-1a over the rows of all outputs of the examples.
std::uint64_t digest() {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const Example& each : examples()) {
    Scene scene = each.make();
    run(scene);
    for (unsigned i = 0; i < kMaxOperands; ++i) {
      if (!scene.has(i) || !is_output(scene, i)) {
        continue;
      }
      for (const std::byte byte : scene.bytes(i)) {
        hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100'0000'01B3;
      }
    }
  }
  return hash;
}

TEST(EveryCommand, gives_the_same_bytes_on_every_machine) {
  // Seen with Clang without optimisation, GCC with -O2 and with -O3 for a CPU with FMA, and GCC on AArch64.
  EXPECT_EQ(digest(), 14978647852721886751U);
}

/// Commands of several units.
const std::vector<Example>& long_commands() {
  static const std::vector<Example> kList = {
      {"gemm",
       [] {
         Scene scene(Opcode::Gemm, {40, 70, 450});
         scene.operand({0, Type::F32, 40, 70}).operand({1, Type::F32, 40, 450});
         return std::move(scene.operand({2, Type::F32, 70, 450}));
       }},
      {"gemv_of_blocks",
       [] {
         Scene scene(Opcode::Gemm, {1, 300, 8192});
         scene.operand({0, Type::F32, 1, 300}).operand({1, Type::F32, 1, 8192});
         return std::move(scene.operand({2, Type::Q4_0, 300, 8192}));
       }},
      {"norm",
       [] {
         Scene scene(Opcode::LayerNorm, {25, 3000});
         return std::move(scene.operand({0, Type::F32, 25, 3000}).operand({1, Type::F32, 25, 3000}));
       }},
      {"attention",
       [] {
         Scene scene(Opcode::Attention, {4, 4, 2, 64, 500});
         scene.f(0, 0.1F).operand({0, Type::F32, 4, 256}).operand({1, Type::F32, 4, 256});
         return std::move(scene.operand({2, Type::F16, 504, 128}).operand({3, Type::F32, 504, 128}));
       }},
      {"silu",
       [] {
         Scene scene(Opcode::Silu, {2, 35'001});
         return std::move(scene.operand({0, Type::F32, 2, 35'001}).operand({1, Type::F32, 2, 35'001}));
       }},
      {"copy_to_blocks",
       [] {
         Scene scene(Opcode::Copy, {1, 96 * 2048});
         return std::move(scene.operand({0, Type::Q8_0, 1, 96 * 2048}).operand({1, Type::F32, 1, 96 * 2048}));
       }},
      {"convolution",
       [] {
         Scene scene(Opcode::Conv2d, {1, 20, 20, 16, 20, 20, 20, 3, 3, 1, 1, 1});
         scene.i(4, 1).i(5, 1).operand({0, Type::F32, 20, 400}).operand({1, Type::F32, 20, 320});
         return std::move(scene.operand({2, Type::F32, 20, 144}));
       }},
  };
  return kList;
}

class LongCommand : public ::testing::TestWithParam<Example> {};

/// At once, and unit by unit from the last one on.
void expect_same_however_shared(const Example& example, const KernelSet& set) {
  Scene whole = example.make();
  run(whole, set);
  Scene backwards = example.make();
  const auto checked = backwards.check();
  ASSERT_TRUE(checked);
  const std::uint64_t units = partition(*checked).units;
  ASSERT_GT(units, 1U);
  for (std::uint64_t unit = units; unit-- > 0;) {
    const auto kernel = set.kernels[static_cast<unsigned>(checked->opcode)];
    ASSERT_FALSE(kernel(*checked, {.first = unit, .count = 1}));
  }
  EXPECT_TRUE(std::ranges::equal(whole.bytes(0), backwards.bytes(0)));
}

TEST_P(LongCommand, is_the_same_however_it_is_shared_out) {
  expect_same_however_shared(GetParam(), scalar_kernels());
  expect_same_however_shared(GetParam(), simd_kernels());
}

INSTANTIATE_TEST_SUITE_P(Shapes, LongCommand, ::testing::ValuesIn(long_commands()),
                         [](const auto& info) { return info.param.name; });

/// A command of which only the shape matters.
Checked shaped(Opcode opcode, std::initializer_list<std::uint32_t> dims) {
  Checked command;
  command.opcode = opcode;
  std::copy(dims.begin(), dims.end(), command.dims.begin());
  return command;
}

TEST(Partition, tiles_cover_each_cell_once) {
  for (const Checked& command :
       {shaped(Opcode::Gemm, {1, 1, 1}), shaped(Opcode::Gemm, {100, 100, 4000}), shaped(Opcode::Gemm, {1, 999, 5000}),
        shaped(Opcode::Gemm, {333, 17, 100'000}), shaped(Opcode::Softmax, {1000, 1000}),
        shaped(Opcode::Relu, {3, 600'000}), shaped(Opcode::Attention, {9, 32, 8, 128, 5000}),
        shaped(Opcode::Conv2d, {2, 9, 9, 64, 9, 9, 33, 3, 3, 1, 1, 1}),
        shaped(Opcode::MaxPool, {1, 50, 50, 100, 50, 50, 0, 9, 9, 1, 1})}) {
    const Partition grid = partition(command);
    std::uint64_t cells = 0;
    std::uint64_t next_row = 0;
    std::uint64_t next_column = 0;
    for (std::uint64_t unit = 0; unit < grid.units; ++unit) {
      const Tile tile = tile_of(grid, unit);
      ASSERT_EQ(tile.row_begin, next_row);
      ASSERT_EQ(tile.column_begin, next_column);
      ASSERT_LT(tile.row_begin, tile.row_end);
      ASSERT_LT(tile.column_begin, tile.column_end);
      cells += (tile.row_end - tile.row_begin) * (tile.column_end - tile.column_begin);
      next_column = tile.column_end == grid.columns ? 0 : tile.column_end;
      next_row = next_column == 0 ? tile.row_end : tile.row_begin;
    }
    EXPECT_EQ(next_row, grid.rows);
    EXPECT_EQ(cells, grid.rows * grid.columns);
  }
}

TEST(Partition, units_are_below_a_million_operations) {
  constexpr std::uint64_t kMost = 1U << 20;
  for (const std::uint32_t rows : {1U, 7U, 512U}) {
    for (const std::uint32_t columns : {1U, 16U, 50'000U}) {
      for (const std::uint32_t inner : {1U, 100U, 4096U, 16'384U, 65'536U, 500'000U}) {
        const Partition grid = partition(shaped(Opcode::Gemm, {rows, columns, inner}));
        EXPECT_LE(grid.rows_per_unit * grid.columns_per_unit * inner, kMost) << rows << " " << columns << " " << inner;
      }
    }
  }
}

TEST(Partition, units_are_not_tiny) {
  // One row times a square matrix, as a transformer's layers have it.
  const Partition grid = partition(shaped(Opcode::Gemm, {1, 4096, 4096}));
  EXPECT_EQ(grid.units, 64U);
  EXPECT_EQ(grid.columns_per_unit, 64U);
  EXPECT_EQ(partition(shaped(Opcode::Nop, {})).units, 0U);
}

TEST(Partition, the_largest_shapes_do_not_overflow) {
  constexpr std::uint32_t kMax = abi::npu::kMaxDim;
  EXPECT_GT(partition(shaped(Opcode::Gemm, {kMax, kMax, kMax})).units, 0U);
  EXPECT_GT(partition(shaped(Opcode::AvgPool, {1, kMax, kMax, 1, 1, 1, 0, kMax, kMax, 1, 1})).units, 0U);
  EXPECT_GT(partition(shaped(Opcode::Attention, {kMax, 1, 1, 256, kMax})).units, 0U);
}

}  // namespace
}  // namespace npu::testing
