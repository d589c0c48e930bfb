// The keys observe and autorun: what they mean, and what is written of them.
#include <gtest/gtest.h>

#include "vmm/scenario/load.hpp"

namespace vmm::scenario {
namespace {

using abi::trace::Group;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

Result<Scenario> with(const std::string& yaml) { return load_text("apiVersion: sis/v1\n" + yaml, "o.yaml"); }
std::string problem(const std::string& yaml) {
  const auto loaded = with(yaml);
  return loaded ? "" : loaded.error().message;
}

TEST(ObserveKey, nothing_is_recorded_unless_the_scenario_says_so) {
  EXPECT_FALSE(with("")->observe);
  EXPECT_EQ(to_yaml(*with("")).find("observe"), std::string::npos);
  EXPECT_EQ(with("observe: {}")->observe, Observe{});
  EXPECT_EQ(with("observe: {metrics: off, trace: off}")->observe,
            (Observe{.metrics = std::nullopt, .trace = std::nullopt}));
  EXPECT_EQ(with("observe: {metrics: 1h, trace: on}")->observe, (Observe{.metrics = 1h}));
}

TEST(ObserveKey, map_says_what_is_in_the_trace) {
  const Observe expected{.metrics = 10ms, .trace = ObserveTrace{.events = 4096, .what = {Group::Graphs, Group::Work}}};
  const auto scenario = with("observe: {metrics: 10ms, trace: {events: 4096, what: [graphs, work]}}");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->observe, expected);
  EXPECT_EQ(load_text(to_yaml(*scenario), "again.yaml")->observe, expected);
}

TEST(ObserveKey, what_cannot_be_is_told) {
  EXPECT_EQ(
      problem("observe: {metrics: 9ms, trace: maybe}"),
      "o.yaml:2:20: observe.metrics: found \"9ms\", allowed: off, or a duration from 10ms to 1h, with the unit ms, "
      "s, m or h\n"
      "o.yaml:2:32: observe.trace: found \"maybe\", allowed: on, off, or a map with events, what");
  EXPECT_EQ(problem("observe: {trace: {events: 5000, what: [work, npu, work]}}"),
            "o.yaml:2:27: observe.trace.events: found 5000, allowed: a power of two\n"
            "o.yaml:2:51: observe.trace.what[2]: found a group that is there twice, allowed: each at most once");
  EXPECT_EQ(problem("observe: {trace: {events: 2048}}"),
            "o.yaml:2:27: observe.trace.events: found 2048, allowed: an integer from 4096 to 1048576");
  EXPECT_EQ(
      problem("observe: {trace: {what: [everything]}}"),
      "o.yaml:2:26: observe.trace.what[0]: found \"everything\", allowed: scheduler, interrupts, graphs, npu, llm, "
      "control, user or work");
}

TEST(AutorunKey, lines_are_as_they_are_written) {
  const auto scenario = with("autorun: [graph start demo 1000, \"echo 'a b'\"]");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->autorun, (std::vector<std::string>{"graph start demo 1000", "echo 'a b'"}));
  EXPECT_EQ(load_text(to_yaml(*scenario), "again.yaml")->autorun, scenario->autorun);
}

TEST(AutorunKey, lines_that_the_guest_would_not_take_are_told) {
  EXPECT_EQ(problem("autorun: [\"a\\nb\"]").substr(0, 24), "o.yaml:2:11: autorun[0]:");
  std::string many = "autorun:\n";
  for (unsigned i = 0; i < 9; ++i) {
    many += "  - echo " + std::string(1000, 'x') + "\n";
  }
  EXPECT_EQ(problem(many), "o.yaml:3:3: autorun: found 9054 bytes with their ends, allowed: at most 8192");
}

}  // namespace
}  // namespace vmm::scenario
