// The cost model, against figures worked out by hand from docs/npu.md, and against nothing at all: sizes that no
// product of 64 bits holds.
#include <gtest/gtest.h>

#include "../src/arithmetic.hpp"
#include "npu/testing/scene.hpp"

namespace npu {
namespace {

using abi::npu::Opcode;
using abi::npu::Type;
using testing::Scene;

constexpr Model kModel;  // 64 bytes, 64 f32 and 256 i8 MACs, 16 operations a cycle; 100 to start

TEST(Cost, gemv_of_blocks_is_bound_by_memory) {
  Scene scene(Opcode::Gemm, {1, 4096, 4096});
  scene.operand({0, Type::F32, 1, 4096}).operand({1, Type::F32, 1, 4096}).operand({2, Type::Q8_0, 4096, 4096});
  const Cost cost = scene.check(kModel)->cost;
  constexpr std::uint64_t kWeights = 4096ULL * 4096 / 32 * 34;
  EXPECT_EQ(cost.bytes_read, kWeights + 4096ULL * 4);
  EXPECT_EQ(cost.bytes_written, 4096ULL * 4);
  EXPECT_EQ(cost.memory_cycles, (kWeights + 2ULL * 4096 * 4) / 64);
  EXPECT_EQ(cost.compute_cycles, 4096ULL * 4096 / 64 + 4096 * 2 / 16);
  EXPECT_EQ(cost.cycles, cost.memory_cycles + 100);
}

TEST(Cost, gemm_of_f32_is_bound_by_macs) {
  Scene scene(Opcode::Gemm, {64, 64, 64});
  scene.operand({0, Type::F32, 64, 64}).operand({1, Type::F32, 64, 64}).operand({2, Type::F32, 64, 64});
  const Cost cost = scene.check(kModel)->cost;
  EXPECT_EQ(cost.compute_cycles, 64ULL * 64 * 64 / 64 + 64 * 64 * 2 / 16);
  EXPECT_EQ(cost.memory_cycles, 3ULL * 64 * 64 * 4 / 64);
  EXPECT_EQ(cost.cycles, cost.compute_cycles + 100);
}

TEST(Cost, attention_counts_what_each_row_sees) {
  Scene scene(Opcode::Attention, {3, 4, 2, 8, 5});
  scene.operand({0, Type::F32, 3, 32}).operand({1, Type::F32, 3, 32});
  scene.operand({2, Type::F16, 8, 16}).operand({3, Type::F16, 8, 16});
  const Cost cost = scene.check(kModel)->cost;
  constexpr std::uint64_t kSeen = 6 + 7 + 8;
  constexpr std::uint64_t kMacs = kSeen * 4 * 8 * 2;
  EXPECT_EQ(cost.compute_cycles, (kMacs + 63) / 64 + (kSeen * 4 * 12 + 15) / 16);
  EXPECT_EQ(cost.bytes_read, 3ULL * 32 * 4 + 2ULL * 8 * 16 * 2);
}

TEST(Cost, embedding_reads_the_rows_that_it_takes) {
  Scene scene(Opcode::EmbedRows, {2, 100, 64});
  scene.operand({0, Type::F32, 2, 64}).operand({1, Type::Q4_0, 100, 64}).operand({2, Type::I32, 1, 2});
  const Cost cost = scene.check(kModel)->cost;
  EXPECT_EQ(cost.bytes_read, 2ULL * 36 + 2 * 4);
  EXPECT_EQ(cost.bytes_written, 2ULL * 64 * 4);
}

TEST(Cost, a_convolution_counts_taps_in_the_padding_too) {
  Scene scene(Opcode::Conv2d, {1, 4, 4, 8, 4, 4, 16, 3, 3, 1, 1, 1});
  scene.i(2, -128).i(3, 127).i(4, 1).i(5, 1);
  scene.operand({0, Type::I8, 4, 64}).operand({1, Type::I8, 4, 32}).operand({2, Type::I8, 16, 72});
  scene.operand({4, Type::I32, 1, 16}).operand({5, Type::I32, 1, 16});
  const Cost cost = scene.check(kModel)->cost;
  EXPECT_EQ(cost.compute_cycles, 4ULL * 4 * 16 * 72 / 256 + 4ULL * 4 * 16 * 8 / 16);
}

TEST(Cost, a_depthwise_convolution_uses_no_mac_units) {
  Scene scene(Opcode::DepthwiseConv2d, {1, 4, 4, 8, 4, 4, 8, 3, 3, 1, 1, 1});
  scene.i(4, 1).i(5, 1);
  scene.operand({0, Type::F32, 4, 32}).operand({1, Type::F32, 4, 32}).operand({2, Type::F32, 9, 8});
  const Cost cost = scene.check(kModel)->cost;
  EXPECT_EQ(cost.compute_cycles, 4ULL * 4 * 8 * 9 * 2 / 16 + 4ULL * 4 * 8 * 2 / 16);
}

TEST(Cost, a_pool_compares_and_adds_each_tap) {
  Scene scene(Opcode::MaxPool, {1, 4, 4, 8, 2, 2, 0, 2, 2, 2, 2});
  scene.operand({0, Type::F32, 2, 16}).operand({1, Type::F32, 4, 32});
  EXPECT_EQ(scene.check(kModel)->cost.compute_cycles, 2ULL * 2 * 8 * 4 * 2 / 16);
}

TEST(Cost, nothing_to_do_takes_the_start) { EXPECT_EQ(Scene(Opcode::Nop, {}).check(kModel)->cost.cycles, 100U); }

TEST(Arithmetic, what_does_not_fit_is_the_largest_number) {
  constexpr std::uint64_t kHigh = std::uint64_t{1} << 63;
  EXPECT_EQ(saturating_multiply(kHigh, 2), kSaturated);
  EXPECT_EQ(saturating_multiply(kHigh, 1), kHigh);
  EXPECT_EQ(saturating_multiply(kSaturated, 0), 0U);
  EXPECT_EQ(saturating_add(kHigh, kHigh), kSaturated);
  EXPECT_EQ(saturating_add(kHigh, kHigh - 1), kSaturated);
  EXPECT_EQ(divide_up(kSaturated, 2), kHigh);
  EXPECT_EQ(divide_up(0, 7), 0U);
}

TEST(Arithmetic, no_size_fits_a_region_of_all_memory) {
  // 2^31 in each dimension of a convolution, over regions without end: the product is beyond 64 bits.
  Scene scene(Opcode::MaxPool, {1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1});
  scene.operand({0, Type::F32, 1, 1}).operand({1, Type::F32, 1, 1});
  scene.memory.region(1).bytes = kSaturated;
  scene.memory.region(2).bytes = kSaturated;
  for (const unsigned i : {0U, 1U, 2U, 3U}) {
    scene.command.dims[i] = abi::npu::kMaxDim;
  }
  const auto checked = scene.check(kModel);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().reason, abi::npu::Reason::OutsideRegion);
}

TEST(Arithmetic, a_window_without_end_is_over_the_limit) {
  // The kernel of a pool is no operand: its size is bound by its cost alone.
  Scene scene(Opcode::AvgPool, {1, 4, 4, 1, 1, 1, 0, abi::npu::kMaxDim, abi::npu::kMaxDim, 1, 1});
  scene.operand({0, Type::F32, 1, 1}).operand({1, Type::F32, 4, 4});
  const auto checked = scene.check(kModel);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().reason, abi::npu::Reason::CommandCycles);
}

}  // namespace
}  // namespace npu
