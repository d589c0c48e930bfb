#include "vmm/devices/npu/job.hpp"

#include <gtest/gtest.h>

#include "fake_commands.hpp"
#include "vmm/devices/npu/clock.hpp"

namespace vmm::npu {
namespace {

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

std::expected<std::unique_ptr<Job>, Outcome> make(const abi::npu::JobHeader& header,
                                                  const std::vector<abi::npu::Command>& commands) {
  static const TwoRegions regions;
  return make_job(header, commands, testing::command_set(), regions, {}, {});
}

TEST(NpuJob, is_what_the_header_says) {
  abi::npu::JobHeader header{};
  header.id = 77;
  header.priority = 2;
  header.flags = abi::npu::job_flag::kAtModelledTime;
  header.deadline_ns = 5;
  const auto job = make(header, {command(Opcode::Nop, 1)});
  EXPECT_EQ((*job)->id, 77U);
  EXPECT_EQ((*job)->priority, abi::npu::Priority::High);
  EXPECT_TRUE((*job)->at_modelled_time);
  EXPECT_EQ((*job)->deadline_ns, 5U);
  EXPECT_EQ((*job)->commands.size(), 1U);
}

TEST(NpuJob, refusal_names_command_and_offset) {
  const auto job = make({}, {command(Opcode::Nop, 1), command(Opcode::Nop, 1), command(Opcode::Copy, 1, 1, 3)});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().status, Status::Region);
  EXPECT_EQ(job.error().reason, Reason::UnknownRegion);
  EXPECT_EQ(job.error().command, 2U);
  EXPECT_EQ(job.error().stream_offset, 2 * 192 + 24U);
}

TEST(NpuJob, regions_are_listed_once) {
  const auto job =
      make({}, {command(Opcode::Copy, 1, 1, 2), command(Opcode::Copy, 1, 1, 1), command(Opcode::Copy, 1, 1, 2)});
  EXPECT_EQ((*job)->regions, (std::vector<std::uint32_t>{1, 2}));
}

TEST(NpuJob, deadline_counts_from_the_arrival_and_does_not_wrap) {
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
