// The guest reads of what is recorded, and of what its shell runs, what the scenario says.
#include <gtest/gtest.h>

#include "guest/kernel/boot_config.hpp"
#include "vmm/scenario/boot_archive.hpp"

namespace vmm::scenario {
namespace {

guest::kernel::BootConfig& read(const Scenario& scenario) {
  static guest::kernel::BootConfig config;
  const auto tree = make_tree(scenario, {.control_key = {}});
  EXPECT_TRUE(tree) << tree.error().message;
  const auto outcome = guest::kernel::read_scenario_tree(*tree, config);
  EXPECT_TRUE(outcome) << outcome.error().detail.view();
  return config;
}

TEST(ObserveTree, guest_reads_what_the_scenario_says) {
  Scenario scenario;
  scenario.name = "observed";
  EXPECT_FALSE(read(scenario).observe.wanted);
  EXPECT_TRUE(read(scenario).autorun.view().empty());
  scenario.observe.emplace();
  const guest::kernel::ObserveConfig all = read(scenario).observe;
  EXPECT_TRUE(all.wanted);
  EXPECT_EQ(all.metrics_ns, 100'000'000U);
  EXPECT_EQ(all.trace_events, 65'536U);
  EXPECT_EQ(all.trace_groups, abi::trace::kAllGroups);
  scenario.observe = {.metrics = std::nullopt,
                      .trace = ObserveTrace{.events = 1 << 20, .what = {abi::trace::Group::Npu}}};
  const guest::kernel::ObserveConfig some = read(scenario).observe;
  EXPECT_EQ(some.metrics_ns, 0U);
  EXPECT_EQ(some.trace_events, 1U << 20);
  EXPECT_EQ(some.trace_groups, bit(abi::trace::Group::Npu));
  scenario.observe = {.metrics = std::nullopt, .trace = std::nullopt};
  EXPECT_TRUE(read(scenario).observe.wanted);
  EXPECT_EQ(read(scenario).observe.trace_events, 0U);
}

TEST(ObserveTree, guest_reads_the_lines_of_its_shell) {
  Scenario scenario;
  scenario.name = "autorun";
  scenario.autorun = {"echo a", std::string(1024, 'x')};
  EXPECT_EQ(read(scenario).autorun.view(), std::string("echo a") + '\0' + std::string(1024, 'x') + '\0');
  scenario.autorun.assign(64, "y");
  EXPECT_EQ(read(scenario).autorun.view().size(), 128U);
}

}  // namespace
}  // namespace vmm::scenario
