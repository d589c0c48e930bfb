// Weights that are rearranged once: which, how often, and when their copies go.
#include "vmm/devices/npu/packed_weights.hpp"

#include <gtest/gtest.h>

#include "abi/npu_commands.hpp"
#include "device_fixture.hpp"
#include "vmm/devices/npu/region_table.hpp"

namespace vmm::npu {
namespace {

namespace region_flag = abi::npu::region_flag;
constexpr std::uint32_t kImmutable = region_flag::kRead | region_flag::kImmutable;
constexpr std::uint64_t kBase = FakeGuest::kBase;

int packed_times = 0;

/// As large as the weights, and the first of their bytes.
constexpr ::npu::Packing kPacking = {
    .bytes = [](const ::npu::Checked& command) -> std::uint64_t {
      const ::npu::Operand& weight = command.operands[abi::npu::operand::kWeight];
      return weight.row_stride == weight.row_bytes ? weight.rows * weight.row_bytes : 0;
    },
    .pack =
        [](const ::npu::Checked& command, std::byte* to) {
          ++packed_times;
          *to = *command.operands[abi::npu::operand::kWeight].data;
        },
};

struct PackedWeightsTest : ::testing::Test {
  FakeGuest guest{std::size_t{1} << 20};
  RegionTable table{8, {.least = 100, .most = 1000, .per_turn = 0, .total = 2000}};
  std::uint64_t budget = 1 << 20;

  void SetUp() override {
    packed_times = 0;
    table.move_to(guest.memory());
  }
  std::uint32_t add(std::uint32_t flags) { return *table.add(kBase, 8192, flags); }
  /// A Gemm whose weights are so many rows of 10 bytes.
  [[nodiscard]] ::npu::Checked gemm(std::uint32_t region, std::uint64_t offset, std::uint64_t rows) const {
    ::npu::Checked command;
    command.opcode = Opcode::Gemm;
    command.operands[abi::npu::operand::kWeight] = {
        .data = table.find(region)->base + offset, .row_stride = 10, .rows = rows, .row_bytes = 10, .region = region};
    return command;
  }
  std::shared_ptr<const PackedWeights> pack(const ::npu::Checked& command) {
    return table.pack(command, kPacking, budget);
  }
};

TEST_F(PackedWeightsTest, are_made_once_for_each_place_and_shape) {
  const std::uint32_t region = add(kImmutable);
  guest.put(kBase + 64, std::uint8_t{7});
  const auto copy = pack(gemm(region, 64, 20));
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(*copy->data(), std::byte{7});
  EXPECT_EQ(pack(gemm(region, 64, 20)), copy);
  EXPECT_EQ(packed_times, 1);
  EXPECT_NE(pack(gemm(region, 128, 20)), copy);
  EXPECT_NE(pack(gemm(region, 64, 30)), copy);
  EXPECT_NE(pack(gemm(add(kImmutable), 64, 20)), copy);
  EXPECT_EQ(packed_times, 4);
  EXPECT_EQ(table.packed().bytes(), 3 * 200U + 300U);
}

TEST_F(PackedWeightsTest, are_others_of_the_same_bytes_as_another_type) {
  ::npu::Checked command = gemm(add(kImmutable), 64, 20);
  const auto copy = pack(command);
  command.operands[abi::npu::operand::kWeight].type = abi::npu::Type::I8;
  EXPECT_NE(pack(command), copy);
  EXPECT_EQ(packed_times, 2);
}

TEST_F(PackedWeightsTest, are_those_of_convolutions_too) {
  ::npu::Checked command = gemm(add(kImmutable), 64, 20);
  command.opcode = Opcode::Conv2d;
  EXPECT_NE(pack(command), nullptr);
}

TEST_F(PackedWeightsTest, are_only_of_what_does_not_change) {
  EXPECT_EQ(pack(gemm(add(region_flag::kRead), 0, 20)), nullptr);
  EXPECT_EQ(pack(gemm(add(region_flag::kRead | region_flag::kWrite), 0, 20)), nullptr);
}

TEST_F(PackedWeightsTest, are_only_of_what_the_kernels_want_packed) {
  const std::uint32_t region = add(kImmutable);
  ASSERT_NE(pack(gemm(region, 0, 20)), nullptr);
  ::npu::Checked gaps = gemm(region, 0, 20);
  gaps.operands[abi::npu::operand::kWeight].row_stride = 12;
  EXPECT_EQ(pack(gaps), nullptr) << "though there is a copy of such rows without gaps";
  ::npu::Checked other = gemm(region, 0, 20);
  other.opcode = Opcode::EmbedRows;
  EXPECT_EQ(pack(other), nullptr);
  EXPECT_EQ(table.pack(gemm(region, 0, 20), {}, budget), nullptr) << "kernels that want none";
}

TEST_F(PackedWeightsTest, go_with_their_region) {
  const std::uint32_t region = add(kImmutable);
  const std::uint32_t other = add(kImmutable);
  pack(gemm(region, 0, 20));
  pack(gemm(other, 0, 30));
  EXPECT_TRUE(table.remove(region));
  EXPECT_EQ(table.packed().bytes(), 300U);
  table.clear();
  EXPECT_EQ(table.packed().bytes(), 0U);
}

TEST_F(PackedWeightsTest, are_made_again_in_other_memory) {
  const std::uint32_t region = add(kImmutable);
  const auto copy = pack(gemm(region, 0, 20));
  FakeGuest other(std::size_t{1} << 20);
  other.put(kBase, std::uint8_t{9});
  table.move_to(other.memory());
  EXPECT_EQ(*pack(gemm(region, 0, 20))->data(), std::byte{9});
  EXPECT_EQ(*copy->data(), std::byte{0}) << "a job in flight goes on with the old ones";
  EXPECT_EQ(table.packed().bytes(), 400U);
}

TEST_F(PackedWeightsTest, have_limits) {
  const std::uint32_t region = add(kImmutable);
  EXPECT_EQ(pack(gemm(region, 0, 9)), nullptr) << "of a copy";
  EXPECT_NE(pack(gemm(region, 0, 10)), nullptr);
  EXPECT_EQ(pack(gemm(region, 0, 101)), nullptr) << "of a copy";
  const auto held = pack(gemm(region, 0, 100));
  EXPECT_EQ(pack(gemm(region, 0, 91)), nullptr) << "of all";
  EXPECT_NE(pack(gemm(region, 0, 90)), nullptr);
  EXPECT_EQ(pack(gemm(region, 0, 100)), held) << "it is there already";
  table.clear();
  const std::uint32_t again = add(kImmutable);
  EXPECT_NE(pack(gemm(again, 0, 100)), nullptr);
  EXPECT_EQ(pack(gemm(again, 1, 11)), nullptr) << "what a job in flight holds counts";
  budget = 199;
  table.clear();
  EXPECT_EQ(pack(gemm(add(kImmutable), 0, 20)), nullptr) << "of a turn";
  EXPECT_EQ(budget, 199U);
}

TEST_F(PackedWeightsTest, that_are_larger_than_a_turn_have_one_of_their_own) {
  RegionTable small_turns{8, {.least = 100, .most = 1000, .per_turn = 300, .total = 2000}};
  small_turns.move_to(guest.memory());
  const std::uint32_t region = add(kImmutable);  // in the fixture's table, which gemm() looks into
  ASSERT_EQ(*small_turns.add(kBase, 8192, kImmutable), region);
  const auto made = [&](std::uint64_t rows) {
    return small_turns.pack(gemm(region, 0, rows), kPacking, budget) != nullptr;
  };
  budget = 300;
  EXPECT_TRUE(made(20));
  EXPECT_FALSE(made(50));
  EXPECT_TRUE(made(10));
  budget = 300;
  EXPECT_TRUE(made(50));
  EXPECT_EQ(budget, 0U);
  EXPECT_FALSE(made(11));
  EXPECT_TRUE(made(50)) << "it is there already";
}

std::vector<const std::byte*> weights_seen;

/// The device's own commands, with a Gemm that only looks where its weights are.
const ::npu::KernelSet& watching_kernels() {
  static const ::npu::KernelSet set = [] {
    ::npu::KernelSet made = *real_commands().kernels;
    made.packing = kPacking;
    made.kernels[static_cast<std::size_t>(Opcode::Gemm)] = [](const ::npu::Checked& command,
                                                              ::npu::Units) -> std::optional<Reason> {
      weights_seen.push_back(command.packed_weights);
      return std::nullopt;
    };
    return made;
  }();
  return set;
}

/// A row by 64 x 128 weights at the beginning of their region.
Command gemm_command(std::uint32_t tensors, std::uint32_t weights) {
  Command made = command(Opcode::Gemm, 1, 64, tensors);
  made.dims[2] = 128;
  made.types[2] = static_cast<std::uint8_t>(abi::npu::Type::Q8_0);
  made.operands[1].region = tensors;
  made.operands[1].offset = 1024;
  made.operands[2].region = weights;
  return made;
}
constexpr std::uint64_t kWeightBytes = std::uint64_t{64} * 4 * abi::npu::kQ8BlockBytes;

TEST_F(DeviceTest, weights_that_do_not_change_are_packed_by_the_first_job) {
  packed_times = 0;
  weights_seen.clear();
  config.commands = real_commands();
  config.commands.kernels = &watching_kernels();
  boot();
  const std::uint32_t region = add_region(tensors, 4096);
  std::uint32_t weights = add_region(tensors + 8192, kWeightBytes, kImmutable);
  const auto run = [&](std::uint64_t id) {
    const std::uint64_t at = send(id, {gemm_command(region, weights)});
    wait_used(*jobs, 1);
    ASSERT_EQ(status(at), Status::Ok) << result(at).reason.value();
  };
  run(1);
  run(2);
  ASSERT_EQ(weights_seen.size(), 2U);
  EXPECT_NE(weights_seen[0], nullptr);
  EXPECT_EQ(weights_seen[1], weights_seen[0]);
  EXPECT_EQ(packed_times, 1);
  EXPECT_EQ(control_call(ControlOp::ReleaseRegion, weights).status, 0U);
  weights = add_region(tensors + 8192, kWeightBytes, kImmutable);
  run(3);
  EXPECT_EQ(packed_times, 2);
  weights = add_region(tensors + 8192, kWeightBytes);
  run(4);
  EXPECT_EQ(weights_seen.back(), nullptr);
}

}  // namespace
}  // namespace vmm::npu
