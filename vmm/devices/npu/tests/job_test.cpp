#include "vmm/devices/npu/job.hpp"

#include <gtest/gtest.h>

#include "fake_commands.hpp"
#include "vmm/devices/npu/clock.hpp"

namespace vmm::npu {
namespace {

using abi::npu::JobHeader;
using abi::npu::Opcode;
using abi::npu::Reason;
using abi::npu::Status;
using testing::command;

struct TwoRegions final : ::npu::Regions {
  std::array<std::byte, 256> bytes{};
  ::npu::Region region{.base = bytes.data(), .bytes = bytes.size(), .flags = abi::npu::region_flag::kWrite};
  [[nodiscard]] const ::npu::Region* find(std::uint32_t handle) const override {
    return handle == 1 || handle == 2 ? &region : nullptr;
  }
};

JobHeader header(std::uint32_t commands = 0) {
  JobHeader made{};
  made.stream_version = abi::npu::kStreamVersion;
  made.commands = commands;
  return made;
}

std::expected<std::unique_ptr<Job>, Outcome> make(const JobHeader& head,
                                                  const std::vector<abi::npu::Command>& commands) {
  static const TwoRegions regions;
  return make_job(head, commands, testing::command_set(), regions, {}, {});
}

TEST(JobHeader, each_field_that_is_wrong_is_named) {
  EXPECT_EQ(check_header(header(4096), {}).status, Status::Ok);
  struct Case {
    void (*spoil)(JobHeader&);
    Status status;
    Reason reason;
  };
  const Case cases[] = {
      {[](JobHeader& h) { h.stream_version = 2; }, Status::Parse, Reason::StreamVersion},
      {[](JobHeader& h) { h.reserved0 = 1; }, Status::Parse, Reason::ReservedField},
      {[](JobHeader& h) { h.reserved[2] = 1; }, Status::Parse, Reason::ReservedField},
      {[](JobHeader& h) { h.priority = 4; }, Status::Parse, Reason::Priority},
      {[](JobHeader& h) { h.flags = 2; }, Status::Parse, Reason::Flags},
      {[](JobHeader& h) { h.commands = 4097; }, Status::Budget, Reason::TooManyCommands},
      {[](JobHeader& h) { h.commands = UINT32_MAX; }, Status::Budget, Reason::TooManyCommands},
  };
  for (const Case& each : cases) {
    JobHeader spoilt = header();
    each.spoil(spoilt);
    const Outcome outcome = check_header(spoilt, {});
    EXPECT_EQ(outcome.status, each.status) << static_cast<int>(each.reason);
    EXPECT_EQ(outcome.reason, each.reason);
  }
}

TEST(JobCommands, first_one_that_is_wrong_is_named_with_its_offset) {
  const auto job = make(header(3), {command(Opcode::Nop, 1), command(Opcode::Nop, 1), command(Opcode::Copy, 1, 1, 3)});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().status, Status::Region);
  EXPECT_EQ(job.error().reason, Reason::UnknownRegion);
  EXPECT_EQ(job.error().command, 2U);
  EXPECT_EQ(job.error().stream_offset, 2 * 192 + 24U);
}

TEST(JobCommands, opcode_without_a_kernel_is_refused) {
  const auto job = make(header(1), {command(Opcode::Softmax, 1)});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().reason, Reason::Opcode);
}

TEST(JobCommands, cycle_limit_is_that_of_the_job_or_the_devices_and_refuses_before_anything_runs) {
  JobHeader limited = header(2);
  limited.cycle_limit = 2000;
  EXPECT_TRUE(make(limited, {command(Opcode::Nop, 1, 1000), command(Opcode::Nop, 1, 1000)}));
  const auto job = make(limited, {command(Opcode::Nop, 1, 1000), command(Opcode::Nop, 1, 1001)});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().status, Status::Budget);
  EXPECT_EQ(job.error().reason, Reason::CycleLimit);
  EXPECT_EQ(job.error().command, 1U);
  limited.cycle_limit = UINT64_MAX;
  // 16 * 4e9 > 60e9.
  const std::vector<abi::npu::Command> long_ones(16, command(Opcode::Nop, 1, 4'000'000'000));
  EXPECT_EQ(make(limited, long_ones).error().reason, Reason::CycleLimit);
}

TEST(JobCommands, regions_are_listed_once) {
  const auto job =
      make(header(3), {command(Opcode::Copy, 1, 1, 2), command(Opcode::Copy, 1, 1, 1), command(Opcode::Copy, 1, 1, 2)});
  EXPECT_EQ((*job)->regions, (std::vector<std::uint32_t>{1, 2}));
}

TEST(JobDeadline, counts_from_the_arrival_and_does_not_wrap) {
  Job job;
  job.arrived_ns = 5;
  EXPECT_EQ(job.due_ns(), kNever);
  job.deadline_ns = 10;
  EXPECT_EQ(job.due_ns(), 15U);
  job.deadline_ns = UINT64_MAX - 2;
  EXPECT_EQ(job.due_ns(), kNever);
}

}  // namespace
}  // namespace vmm::npu
