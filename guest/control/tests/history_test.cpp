// The history of the metrics, and the histograms.
#include <gtest/gtest.h>

#include "graph_fixture.hpp"
#include "guest/control/metric_history.hpp"
#include "guest/kernel/failing_memory/failing_memory.hpp"

namespace guest::control::testing {
namespace {

constexpr std::uint64_t kMillisecondNs = 1'000'000;

class HistoryTest : public GraphCommandTest {
 protected:
  ~HistoryTest() override {
    for (LaterCaller* const each : {&caller, &other}) {
      if (each->operation != nullptr) {
        each->operation->cancel();
      }
    }
    history.freeze();
    machine.run();
  }
  void begin() {
    machine.counters.add(counter);
    machine.services.history = &history;
    ASSERT_TRUE(history.start(100 * kMillisecondNs));
  }
  void watch(LaterCaller& by, const std::vector<std::string_view>& words) {
    EXPECT_TRUE(run_for(by, "watch history", words).is_null());
    machine.run();
  }
  kernel::Counter counter{"a_counter"};
  MetricHistory history{machine.services};
  LaterCaller caller;
  LaterCaller other;
};

TEST_F(HistoryTest, samples_are_at_multiples_of_the_interval_and_hold_what_has_changed) {
  machine.timer.now = 1'030 * kMillisecondNs;
  begin();
  counter.add(7);
  machine.advance_ns(70 * kMillisecondNs);
  machine.advance_ns(100 * kMillisecondNs);
  counter.add(1);
  machine.advance_ns(100 * kMillisecondNs);
  watch(caller, {"--from_start"});
  ASSERT_EQ(caller.events.size(), 4U);
  EXPECT_EQ(caller.events[0]["time_ns"], 1'030 * kMillisecondNs);
  EXPECT_EQ(caller.events[0]["metrics"]["a_counter"], 0);
  EXPECT_TRUE(caller.events[0]["metrics"].contains("cpu0_interrupts"));
  EXPECT_EQ(caller.events[1], json({{"time_ns", 1'100 * kMillisecondNs},
                                    {"metrics", {{"uptime_ns", 1'100 * kMillisecondNs}, {"a_counter", 7}}}}));
  EXPECT_EQ(caller.events[2],
            json({{"time_ns", 1'200 * kMillisecondNs}, {"metrics", {{"uptime_ns", 1'200 * kMillisecondNs}}}}));
  EXPECT_EQ(caller.events[3]["metrics"]["a_counter"], 8);
}

TEST_F(HistoryTest, a_sample_has_the_figures_of_metrics_but_percentiles_and_what_is_counted_from_buckets) {
  make_pipeline("g");
  done("det", {"admit", "camera", "1000", "10000"});
  in_thread([&] { done("graph start", {"g", "120"}); });
  begin();
  watch(caller, {"--from_start"});
  json sampled = caller.events.at(0)["metrics"];
  json all = done("metrics", {})["metrics"];
  for (const auto& [name, value] : sampled.items()) {
    // Of times without samples `metrics` has no largest one.
    EXPECT_EQ(value, all.value(name, json(0))) << name;
    all.erase(name);
  }
  for (const auto& [name, value] : all.items()) {
    EXPECT_TRUE(name.find("_p50_ns") != std::string::npos || name.find("_p95_ns") != std::string::npos ||
                name.find("_p99_ns") != std::string::npos || name == "server_camera_jobs")
        << name;
  }
  EXPECT_EQ(sampled["op_g_end_runs"], 120);
  done("det", {"remove", "camera"});
}

TEST_F(HistoryTest, what_is_made_later_is_in_the_samples_from_then_on) {
  begin();
  done("graph create", {"g"});
  done("graph add-channel", {"g", "1", "2"});
  machine.advance_ns(100 * kMillisecondNs);
  done("graph destroy", {"g"});
  done("graph create", {"h"});
  done("graph add-channel", {"h", "1", "2"});
  machine.advance_ns(100 * kMillisecondNs);
  watch(caller, {"--from_start"});
  ASSERT_EQ(caller.events.size(), 3U);
  EXPECT_FALSE(caller.events[0]["metrics"].contains("ch_g_1_depth"));
  EXPECT_EQ(caller.events[1]["metrics"]["ch_g_1_depth"], 0);
  EXPECT_FALSE(caller.events[1]["metrics"].contains("ch_h_1_depth"));
  EXPECT_EQ(caller.events[2]["metrics"]["ch_h_1_depth"], 0);
  EXPECT_FALSE(caller.events[2]["metrics"].contains("ch_g_1_depth"));
}

TEST_F(HistoryTest, the_oldest_samples_are_dropped_and_counted_and_their_figures_stay) {
  begin();
  counter.add(5);
  machine.advance_ns(100 * kMillisecondNs);
  for (unsigned i = 0; history.begin() < 3; ++i) {
    ASSERT_LT(i, 1'000'000U);
    machine.advance_ns(100 * kMillisecondNs);
  }
  watch(caller, {"--from_start", "--count", "2"});
  ASSERT_EQ(caller.events.size(), 2U);
  EXPECT_EQ(caller.events[0]["lost"], history.begin());
  EXPECT_EQ(caller.events[0]["metrics"]["a_counter"], 5);
  EXPECT_EQ(caller.events[0]["metrics"]["uptime_ns"], caller.events[0]["time_ns"]);
  EXPECT_EQ(caller.events[1]["metrics"].size(), 1U);
  EXPECT_EQ(caller.answer, json({{"events", 2}, {"lost", history.begin()}, {"end", "count"}}));
}

TEST_F(HistoryTest, who_follows_gets_the_samples_as_they_come_and_the_last_one_when_it_is_frozen) {
  begin();
  watch(caller, {});
  EXPECT_TRUE(caller.events.empty());
  machine.advance_ns(100 * kMillisecondNs);
  ASSERT_EQ(caller.events.size(), 1U);
  EXPECT_EQ(caller.events[0]["metrics"]["a_counter"], 0);  // the first has all
  counter.add(3);
  machine.advance_ns(30 * kMillisecondNs);
  history.freeze();
  const std::uint64_t frozen_ns = machine.timer.now;
  machine.advance_ns(1'000 * kMillisecondNs);
  ASSERT_EQ(caller.events.size(), 2U);
  EXPECT_EQ(
      caller.events[1],
      json({{"time_ns", frozen_ns}, {"metrics", {{"uptime_ns", frozen_ns}, {"a_counter", 3}}}, {"frozen", true}}));
  EXPECT_EQ(caller.answer, json({{"events", 2}, {"lost", 0}, {"end", "frozen"}}));
  watch(other, {"--from_start"});
  EXPECT_EQ(other.events.back()["frozen"], true);
  EXPECT_EQ(other.answer["end"], "frozen");
}

TEST_F(HistoryTest, a_machine_without_one_says_so) {
  EXPECT_EQ(told(run("watch history")), "unavailable: this machine keeps no history: its scenario has no observe");
}

TEST_F(HistoryTest, histograms_have_their_buckets) {
  make_pipeline("g");
  in_thread([&] { done("graph start", {"g", "120"}); });
  const json answer = done("histograms", {"op_g_end"});
  EXPECT_EQ(answer["left_off"], 0);
  EXPECT_TRUE(text.starts_with("op_g_end: count=120 total=")) << text;
  EXPECT_TRUE(text.ends_with("left_off: 0\n")) << text;
  ASSERT_EQ(answer["histograms"].size(), 1U);
  const json& end = answer["histograms"]["op_g_end"];
  EXPECT_EQ(end["unit"], "ns");
  EXPECT_EQ(end["count"], 120);
  const json metrics = done("metrics", {"op_g_end"})["metrics"];
  EXPECT_EQ(end["total"], metrics["op_g_end_total_ns"]);
  EXPECT_EQ(end["max"], metrics["op_g_end_max_ns"]);
  std::uint64_t count = 0;
  for (const json& bucket : end["buckets"]) {
    EXPECT_LE(bucket[0], bucket[1]);
    EXPECT_GT(bucket[2], 0);
    count += bucket[2].get<std::uint64_t>();
  }
  EXPECT_EQ(count, 120U);
  EXPECT_LE(end["buckets"].front()[0], 1000);
  EXPECT_EQ(done("histograms", {"op_g_", "--skip", "1"})["histograms"].size(), 1U);
}

TEST_F(HistoryTest, frozen_histograms_stay_as_they_were_and_the_others_go_on) {
  make_pipeline("g");
  in_thread([&] { done("graph start", {"g", "120"}); });
  begin();
  EXPECT_FALSE(done("histograms", {"--frozen"}).contains("frozen")) << "it is not frozen";
  const json before = done("histograms", {"op_g_"});
  EXPECT_EQ(done("trace", {"freeze"})["frozen"], true);
  EXPECT_TRUE(history.frozen());
  in_thread([&] { done("graph start", {"g", "30"}); });
  const json frozen = done("histograms", {"op_g_", "--frozen"});
  EXPECT_EQ(frozen["histograms"], before["histograms"]);
  EXPECT_EQ(frozen["frozen"], true);
  EXPECT_EQ(done("histograms", {"op_g_"})["histograms"]["op_g_end"]["count"], 150);
  EXPECT_EQ(done("histograms", {"op_g_", "--skip", "1", "--frozen"})["histograms"].size(),
            before["histograms"].size() - 1);
}

TEST_F(HistoryTest, frozen_histograms_that_there_was_no_memory_for_are_said_to_be_missing) {
  make_pipeline("g");
  in_thread([&] { done("graph start", {"g", "120"}); });
  begin();
  {
    const kernel::FailingMemory memory(0);
    history.freeze();
  }
  EXPECT_EQ(told(run("histograms", {"--frozen"})), "failed: there was no memory to keep them when the history ended");
}

}  // namespace
}  // namespace guest::control::testing
