#include "npu/stream/job.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "npu/testing/scene.hpp"

namespace npu {
namespace {

using abi::npu::Command;
using abi::npu::JobHeader;
using abi::npu::Opcode;
using abi::npu::Reason;
using abi::npu::Status;
using abi::npu::Type;
using testing::Scene;

constexpr JobLimits kLimits = {.max_commands = 4, .max_cycles = 10'000};

/// Three times the same command.
class Job : public ::testing::Test {
 protected:
  Job() : scene(Opcode::Relu, {1, 64}) {
    scene.operand({0, Type::F32, 1, 64}).operand({1, Type::F32, 1, 64});
    header.stream_version = abi::npu::kStreamVersion;
    header.commands = 3;
    header.priority = static_cast<std::uint8_t>(abi::npu::Priority::High);
    commands.assign(3, scene.command);
    checked.resize(4);
  }

  [[nodiscard]] auto check() { return check_job(header, commands, scene.memory, Model{}, kLimits, checked); }
  void expect_refused(Status status, Reason reason) {
    const auto result = check();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().fault.status, status);
    EXPECT_EQ(result.error().fault.reason, reason);
    EXPECT_EQ(result.error().command, abi::npu::kNoCommand);
    EXPECT_EQ(result.error().stream_offset(), 0U);
  }

  Scene scene;
  JobHeader header{};
  std::vector<Command> commands;
  std::vector<Checked> checked;
};

TEST_F(Job, costs_what_its_commands_cost) {
  const auto cost = check();
  ASSERT_TRUE(cost);
  const Cost one = scene.check()->cost;
  EXPECT_EQ(cost->cycles, 3 * one.cycles);
  EXPECT_EQ(cost->compute_cycles, 3 * one.compute_cycles);
  EXPECT_EQ(cost->memory_cycles, 3 * one.memory_cycles);
  EXPECT_EQ(cost->bytes_read, 3ULL * 256);
  EXPECT_EQ(cost->bytes_written, 3ULL * 256);
  EXPECT_EQ(checked[2].opcode, Opcode::Relu);
}

TEST_F(Job, may_be_empty) {
  header.commands = 0;
  const auto cost = check();
  ASSERT_TRUE(cost);
  EXPECT_EQ(cost->cycles, 0U);
}

TEST_F(Job, states_its_version) {
  header.stream_version = 2;
  expect_refused(Status::Parse, Reason::StreamVersion);
}

TEST_F(Job, has_a_known_priority) {
  header.priority = 4;
  expect_refused(Status::Parse, Reason::Priority);
}

TEST_F(Job, has_known_flags) {
  header.flags = abi::npu::job_flag::kAtModelledTime;
  EXPECT_TRUE(check());
  header.flags = 2;
  expect_refused(Status::Parse, Reason::Flags);
}

TEST_F(Job, has_zeros_where_nothing_is_meant) {
  header.reserved0 = 1;
  expect_refused(Status::Parse, Reason::ReservedField);
  header.reserved0 = 0;
  header.reserved[2] = std::uint64_t{1} << 63;
  expect_refused(Status::Parse, Reason::ReservedField);
}

TEST_F(Job, has_a_bounded_number_of_commands) {
  header.commands = 5;
  expect_refused(Status::Budget, Reason::TooManyCommands);
  header.commands = 0xFFFF'FFFF;
  expect_refused(Status::Budget, Reason::TooManyCommands);
}

TEST_F(Job, has_as_many_commands_as_it_says) {
  header.commands = 4;
  expect_refused(Status::Parse, Reason::ShortBuffer);
}

TEST_F(Job, names_the_command_and_the_field_at_fault) {
  commands[2].operands[1].offset = 4;
  const auto result = check();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().fault.reason, Reason::OutsideRegion);
  EXPECT_EQ(result.error().command, 2U);
  EXPECT_EQ(result.error().stream_offset(), 2 * 192 + 32U);
}

TEST_F(Job, over_its_limit_is_refused) {
  const std::uint64_t each = scene.check()->cost.cycles;
  header.cycle_limit = 3 * each;
  EXPECT_TRUE(check());
  header.cycle_limit = 3 * each - 1;
  const auto result = check();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().fault.status, Status::Budget);
  EXPECT_EQ(result.error().fault.reason, Reason::CycleLimit);
  EXPECT_EQ(result.error().command, 2U);
}

TEST_F(Job, has_no_more_than_the_device_allows) {
  header.cycle_limit = ~std::uint64_t{0};
  const JobLimits tight = {.max_commands = 4, .max_cycles = scene.check()->cost.cycles};
  const auto result = check_job(header, commands, scene.memory, Model{}, tight, checked);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().fault.reason, Reason::CycleLimit);
  EXPECT_EQ(result.error().command, 1U);
}

}  // namespace
}  // namespace npu
