#include "tools/web/machine_view.hpp"

#include <gtest/gtest.h>

namespace sis_web {
namespace {

using nlohmann::json;

/// As a reply has it: numbers that are not negative are unsigned.
json from_guest(const json& value) { return json::parse(value.dump()); }

json run_of(const MachineView& view) { return json::parse(view.data_json())["runs"][0]; }

TEST(MachineViewTest, a_machine_that_has_not_answered_says_so) {
  const MachineView view("m", "/nowhere");
  const json run = run_of(view);
  EXPECT_EQ(run["summary"]["outcome"], "running");
  EXPECT_TRUE(run["metrics"].is_null());
  EXPECT_EQ(run["notes"][0], "The guest has not answered yet.");
}

TEST(MachineViewTest, the_newest_figures_and_the_past_of_what_is_drawn) {
  MachineView view("m", "/nowhere");
  view.set_status({{"scenario", "s"}, {"cpus", 2}, {"uptime_ns", 7}, {"status", "ok"}});
  view.set_metrics(10, from_guest({{"op_a_runs", 1}, {"npu_busy_ns", 5}, {"text", "x"}, {"negative", -1}}));
  view.set_metrics(20, from_guest({{"op_a_runs", 2}, {"npu_busy_ns", 8}, {"ch_g_1_depth", 3}}));
  const json run = run_of(view);
  EXPECT_EQ(run["summary"]["scenario"], "s");
  EXPECT_EQ(run["summary"]["duration_ns"], 7);
  EXPECT_EQ(run["metrics"]["final"], (json{{"op_a_runs", 2}, {"npu_busy_ns", 8}, {"ch_g_1_depth", 3}}));
  EXPECT_EQ(run["metrics"]["history"]["times_ns"], (json{10, 20}));
  EXPECT_EQ(run["metrics"]["history"]["series"], (json{{"npu_busy_ns", {5, 8}}, {"ch_g_1_depth", {nullptr, 3}}}));
}

TEST(MachineViewTest, the_past_is_bounded) {
  MachineView view("m", "/nowhere");
  for (std::uint64_t i = 0; i < MachineView::kMaxSamples + 5; ++i) view.set_metrics(i, {{"npu_busy_ns", i}});
  json history = run_of(view)["metrics"]["history"];
  EXPECT_EQ(history["times_ns"].size(), MachineView::kMaxSamples);
  EXPECT_EQ(history["times_ns"][0], 5);
  EXPECT_EQ(history["lost"], 5);
  view.forget_past();
  EXPECT_EQ(run_of(view)["metrics"]["history"]["times_ns"].size(), 0U);
}

TEST(MachineViewTest, histograms_have_the_guests_percentiles_and_malformed_ones_are_left_out) {
  MachineView view("m", "/nowhere");
  view.set_metrics(1, from_guest({{"op_a_p50_ns", 4}}));
  view.set_histograms(from_guest({{"op_a", {{"count", 2}, {"total", 8}, {"max", 5}, {"buckets", {{4, 5, 2}}}}},
                                  {"bad", {{"count", 2}}},
                                  {"worse", {{"count", 1}, {"total", 1}, {"max", 1}, {"buckets", {{1, -1, 1}}}}}}));
  const json histograms = run_of(view)["metrics"]["histograms"];
  EXPECT_EQ(histograms.size(), 1U);
  EXPECT_EQ(histograms["op_a"]["p50"], 4);
  EXPECT_FALSE(histograms["op_a"].contains("p95"));
}

TEST(MachineViewTest, an_end_is_shown) {
  MachineView view("m", "/nowhere");
  view.set_ended("The machine has ended.");
  EXPECT_EQ(run_of(view)["summary"]["outcome"], "ended");
  EXPECT_NE(view.prometheus().find("sis_up{machine=\"m\"} 0"), std::string::npos);
}

}  // namespace
}  // namespace sis_web
