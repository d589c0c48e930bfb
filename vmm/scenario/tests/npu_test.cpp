// The key npu: what it means, and what is written of it.
#include <gtest/gtest.h>

#include "vmm/devices/npu_options/options.hpp"
#include "vmm/scenario/load.hpp"

namespace vmm::scenario {
namespace {

Result<Scenario> with(const std::string& npu) { return load_text("apiVersion: sis/v1\n" + npu, "npu.yaml"); }

TEST(NpuKey, machine_has_no_npu_unless_the_scenario_says_so) {
  EXPECT_FALSE(with("")->npu);
  EXPECT_FALSE(with("npu: off")->npu);
  EXPECT_EQ(with("npu: on")->npu, npu::Options{});
  EXPECT_EQ(with("npu: {}")->npu, npu::Options{});
}

TEST(NpuKey, map_says_what_it_is) {
  const auto scenario = with(
      "npu:\n"
      "  threads: 3\n"
      "  timing: modelled\n"
      "  faults:\n"
      "    - {fault: drop-interrupt, number: 2}\n"
      "    - {fault: delay-job, number: 4, delay: 50ms}\n"
      "    - {fault: fail-command, number: 1, command: 0}\n");
  ASSERT_TRUE(scenario);
  using npu::Fault;
  const npu::Options expected{
      .threads = 3,
      .timing = npu::Timing::Modelled,
      .faults = {{.kind = Fault::Kind::DropInterrupt, .number = 2},
                 {.kind = Fault::Kind::DelayJob, .number = 4, .delay = std::chrono::milliseconds(50)},
                 {.kind = Fault::Kind::FailCommand, .number = 1, .command = 0}}};
  EXPECT_EQ(scenario->npu, expected);
  EXPECT_EQ(load_text(to_yaml(*scenario), "again.yaml")->npu, expected);
}

TEST(NpuKey, written_scenario_says_when_there_is_none) {
  EXPECT_NE(to_yaml(*with("")).find("npu: \"off\""), std::string::npos) << to_yaml(*with(""));
}

}  // namespace
}  // namespace vmm::scenario
