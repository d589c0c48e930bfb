// The command `metrics`: names, figures, filters, pages, and lines on the console.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "graph_fixture.hpp"

namespace guest::control::testing {
namespace {

class MetricsTest : public GraphCommandTest {
 protected:
  json metrics(const std::vector<std::string_view>& words = {}) { return done("metrics", words)["metrics"]; }
  void run_graph(std::string_view graph, std::string_view steps) {
    in_thread([&] { done("graph start", {graph, steps}); });
  }
  /// A graph of one operator without channels.
  void make_single(std::string_view graph, std::string_view code) {
    done("graph create", {graph});
    done("graph add-operator", {graph, "1", code, "src"});
  }
};

TEST_F(MetricsTest, a_graph_s_figures_are_those_of_its_stats) {
  make_pipeline("g");
  run_graph("g", "120");
  const json stats = done("graph stats", {"g"});
  const json all = metrics({"--graph", "g"});
  const json& end = stats["operators"][1];
  EXPECT_EQ(all["op_g_end_runs"], 120);
  EXPECT_EQ(all["op_g_source_runs"], 120);
  EXPECT_EQ(all["op_g_end_overruns"], end["overruns"]);
  EXPECT_EQ(all["op_g_end_failures"], end["failures"]);
  for (const char* const name : {"p50_ns", "p95_ns", "p99_ns", "max_ns"}) {
    EXPECT_EQ(all[std::string("op_g_end_") + name], end["execution_time"][name]) << name;
  }
  // 1 us each by the fake clock, at least.
  EXPECT_GE(all["op_g_end_total_ns"], 120'000);
  EXPECT_EQ(all["ch_g_1_depth"], 0);
  EXPECT_EQ(all["ch_g_1_depth_max"], stats["channels"][0]["high_water"]);
  EXPECT_EQ(all["ch_g_1_sent"], 120);
  EXPECT_EQ(all["ch_g_1_stalls"], stats["channels"][0]["stalls"]);
  EXPECT_EQ(all["ch_g_1_drops"], 0);
  EXPECT_EQ(all["graph_g_runs"], 1);
  EXPECT_EQ(all["graph_stats_ops"], 2);
  EXPECT_EQ(all["graph_stats_channels"], 1);
  EXPECT_EQ(all["schema_mismatch_count"], 0);
}

TEST_F(MetricsTest, percentiles_that_the_samples_do_not_support_are_left_out) {
  make_pipeline("g");
  EXPECT_FALSE(metrics().contains("op_g_end_max_ns"));
  run_graph("g", "20");
  const json all = metrics();
  EXPECT_TRUE(all.contains("op_g_end_p95_ns"));
  EXPECT_FALSE(all.contains("op_g_end_p99_ns"));
}

TEST_F(MetricsTest, drops_of_both_kinds_are_counted_together) {
  done("graph create", {"g"});
  done("graph add-channel", {"g", "7", "2", "drop-newest"});
  done("graph add-operator", {"g", "1", "a", "src", "", "7", "--priority", "9"});
  done("graph add-operator", {"g", "2", "b", "pass", "7"});
  run_graph("g", "10");
  const json all = metrics();
  const json channel = done("graph stats", {"g"})["channels"][0];
  EXPECT_GT(all["ch_g_7_drops"], 0);
  EXPECT_EQ(all["ch_g_7_drops"], channel["dropped_newest"]);
}

TEST_F(MetricsTest, names_are_made_of_what_a_metric_s_may_have) {
  make_single("Big.Graph-1", "Op-A.b");
  const json all = metrics();
  EXPECT_TRUE(all.contains("op_big_graph_1_op_a_b_runs")) << all;
  for (const auto& [name, value] : all.items()) {
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string::npos) << name;
  }
}

// "a.b" and "a-b" are one name here, and so are b_c in a and c in a_b.
TEST_F(MetricsTest, who_would_have_a_name_that_is_taken_gets_a_number) {
  make_single("a.b", "c");
  make_single("a-b", "c");
  make_single("a", "b_c");
  make_single("a_b", "C");
  run_graph("a-b", "2");
  run_graph("a", "3");
  run_graph("a_b", "4");
  const json all = metrics();
  EXPECT_EQ(all["op_a_b_c_runs"], 0);
  EXPECT_EQ(all["op_a_b_c_2_runs"], 2);
  EXPECT_EQ(all["op_a_b_c_3_runs"], 3);
  EXPECT_EQ(all["op_a_b_c_4_runs"], 4);
  EXPECT_EQ(all["graph_a_b_runs"], 0);
  EXPECT_EQ(all["graph_a_b_2_runs"], 1);
  EXPECT_EQ(metrics({"--graph", "a"})["op_a_b_c_3_runs"], 3);
  EXPECT_FALSE(metrics({"--graph", "a"}).contains("op_a_b_c_runs"));
}

TEST_F(MetricsTest, channels_of_graphs_of_one_name_are_told_apart) {
  for (const std::string_view graph : {"a.b", "a-b"}) {
    make_pipeline(graph);
  }
  run_graph("a-b", "5");
  EXPECT_EQ(metrics()["ch_a_b_1_sent"], 0);
  EXPECT_EQ(metrics()["ch_a_b_2_1_sent"], 5);
}

TEST_F(MetricsTest, the_kernel_s_counters_and_cpus_are_among_them) {
  kernel::Counter counter("some_counter");
  machine.counters.add(counter);
  counter.add(42);
  machine.cpus.cpus[0].stolen_ns = 77;
  const json all = metrics();
  EXPECT_EQ(all["some_counter"], 42);
  EXPECT_EQ(all["uptime_ns"], machine.timer.now);
  EXPECT_EQ(all["cpu0_stolen_ns"], 77);
  EXPECT_TRUE(all.contains("cpu0_interrupts"));
  done("graph create", {"g"});
  EXPECT_FALSE(metrics({"--graph", "g"}).contains("some_counter"));
}

TEST_F(MetricsTest, a_server_s_figures_are_among_them) {
  done("det", {"admit", "Camera 1", "1000", "10000"});
  const json all = metrics({"server_"});
  EXPECT_EQ(all["server_camera_1_misses"], 0);
  EXPECT_EQ(all["server_camera_1_overruns"], 0);
  EXPECT_EQ(all["server_camera_1_jobs"], 0);
  EXPECT_FALSE(all.contains("server_camera_1_response_p50_ns"));
  done("det", {"remove", "Camera 1"});
  EXPECT_TRUE(metrics({"server_"}).empty());
}

TEST_F(MetricsTest, pages_of_any_length_are_all_of_it) {
  make_pipeline("g");
  const json all = metrics();
  std::set<std::string> names;
  std::size_t pages = 0;
  for (std::uint64_t skip = 0;; ++pages) {
    const std::string text = std::to_string(skip);
    const json page = done("metrics", {"--count", "7", "--skip", text});
    for (const auto& [name, value] : page["metrics"].items()) {
      EXPECT_TRUE(names.insert(name).second) << name;
    }
    skip += page["metrics"].size();
    EXPECT_EQ(page["left_off"], all.size() - skip);
    if (page["left_off"] == 0) {
      break;
    }
    EXPECT_EQ(page["metrics"].size(), 7);
  }
  EXPECT_GT(pages, 2);
  EXPECT_EQ(names.size(), all.size());
  EXPECT_EQ(done("metrics", {"--skip", "1000000"})["left_off"], 0);
}

TEST_F(MetricsTest, what_does_not_fit_is_said_to_be_left_off) {
  // Each operator has six names without samples.
  done("graph create", {"g"});
  for (int i = 1; i <= 64; ++i) {
    const std::string id = std::to_string(i);
    const std::string name = "operator_with_a_long_name_" + id;
    done("graph add-operator", {"g", id, name, "src"});
  }
  done("graph create", {"h"});
  for (int i = 1; i <= 64; ++i) {
    done("graph add-operator", {"h", std::to_string(i), "o" + std::to_string(i), "src"});
  }
  const json page = done("metrics", {});
  EXPECT_EQ(page["metrics"].size(), 400);
  EXPECT_GT(page["left_off"], 50);
  EXPECT_LE(text.size(), 48U * 1024);
}

TEST_F(MetricsTest, an_unknown_graph_is_named) {
  EXPECT_EQ(refusal("metrics", {"--graph", "nope"}),
            "graph-unknown [graph]: there is no graph 'nope'; 'graph list' lists them");
}

class ConsoleMetricsTest : public MetricsTest {
 protected:
  ConsoleMetricsTest() {
    machine.log.set_output(console);
    machine.services.caller.rights = abi::control::Rights::All;
  }
  TextCapture console;
};

TEST_F(ConsoleMetricsTest, lines_are_printed_for_whoever_reads_the_console) {
  make_pipeline("g");
  run_graph("g", "3");
  EXPECT_EQ(done("metrics", {"op_g_end_r", "--console", "yes"}), json({{"printed", 1}}));
  EXPECT_EQ(console.text, "METRIC op_g_end_runs=3\n");
}

TEST_F(ConsoleMetricsTest, a_prompt_is_not_in_front_of_the_first) {
  make_pipeline("g");
  machine.log.write("sis> ");
  done("metrics", {"graph_stats_ops", "--console", "yes"});
  EXPECT_EQ(console.text, "sis> \nMETRIC graph_stats_ops=2\n");
}

TEST_F(ConsoleMetricsTest, nothing_is_printed_for_one_who_may_only_look) {
  machine.services.caller.rights = abi::control::Rights::Observe;
  EXPECT_EQ(refusal("metrics", {"--console", "yes"}),
            "forbidden [console]: printing on the console needs rights 0x4, the token gives 0x1");
  EXPECT_EQ(console.text, "");
}

TEST_F(ConsoleMetricsTest, it_prints_all_or_says_how_to_ask_for_fewer) {
  EXPECT_EQ(refusal("metrics", {"--console", "yes", "--skip", "5"}),
            "bad-argument [skip]: skip: not with console, which prints all that match");
  for (const std::string_view graph : {"g", "h", "i", "j"}) {
    done("graph create", {graph});
    for (int i = 1; i <= 64; ++i) {
      done("graph add-operator", {graph, std::to_string(i), "o" + std::to_string(i), "src"});
    }
  }
  const std::string refused = refusal("metrics", {"--console", "yes"});
  EXPECT_THAT(refused, ::testing::StartsWith("too-large [console]: console: "));
  EXPECT_THAT(refused,
              ::testing::EndsWith("metrics match, allowed: at most 1024; ask for one graph, or for a longer prefix"));
  EXPECT_EQ(console.text, "");
  EXPECT_GT(done("metrics", {"", "g", "--console", "yes"})["printed"], 256);
}

class WatchMetricsTest : public MetricsTest {
 protected:
  ~WatchMetricsTest() override {
    if (caller.operation != nullptr) {
      caller.operation->cancel();
    }
    machine.run();
  }
  void watch(const std::vector<std::string_view>& words) {
    EXPECT_TRUE(run_for(caller, "watch metrics", words).is_null());
    machine.run();
  }
  LaterCaller caller;
};

TEST_F(WatchMetricsTest, they_come_at_once_and_then_from_time_to_time) {
  make_pipeline("g");
  watch({"500", "3", "op_g_end_r"});
  ASSERT_EQ(caller.events.size(), 1U);
  EXPECT_EQ(caller.events[0],
            json({{"time_ns", machine.timer.now}, {"metrics", {{"op_g_end_runs", 0}}}, {"left_off", 0}}));
  run_graph("g", "5");
  machine.advance_ns(500'000'000);
  ASSERT_EQ(caller.events.size(), 2U);
  EXPECT_EQ(caller.events[1]["metrics"]["op_g_end_runs"], 5);
  machine.advance_ns(500'000'000);
  EXPECT_EQ(caller.answer, json({{"events", 3}, {"lost", 0}, {"end", "count"}}));
}

TEST_F(WatchMetricsTest, more_than_an_event_holds_come_in_several_that_count_once) {
  for (const std::string_view graph : {"g", "h"}) {
    done("graph create", {graph});
    for (int i = 1; i <= 64; ++i) {
      done("graph add-operator", {graph, std::to_string(i), "o" + std::to_string(i), "src"});
    }
  }
  const std::uint64_t left_off = done("metrics", {})["left_off"];
  ASSERT_GT(left_off, 0U);
  ASSERT_LE(left_off, 400U);
  watch({"--count", "2"});
  ASSERT_EQ(caller.events.size(), 2U);
  EXPECT_EQ(caller.events[0]["metrics"].size(), 400);
  EXPECT_EQ(caller.events[0]["left_off"], left_off);
  EXPECT_EQ(caller.events[1]["metrics"].size(), left_off);
  EXPECT_EQ(caller.events[1]["left_off"], 0);
  EXPECT_EQ(caller.events[0]["time_ns"], caller.events[1]["time_ns"]);
  caller.room = false;
  machine.advance_ns(1'000'000'000);
  caller.room = true;
  machine.advance_ns(1'000'000'000);
  EXPECT_EQ(caller.events.at(2)["lost"], 1);
  EXPECT_EQ(caller.answer, json({{"events", 2}, {"lost", 1}, {"end", "count"}}));
}

TEST_F(WatchMetricsTest, the_end_of_its_graph_is_its_end) {
  make_pipeline("g");
  EXPECT_EQ(refusal("watch metrics", {"--graph", "h"}),
            "graph-unknown [graph]: there is no graph 'h'; 'graph list' lists them");
  watch({"--graph", "g"});
  done("graph destroy", {"g"});
  machine.advance_ns(1'000'000'000);
  EXPECT_EQ(caller.answer, json({{"events", 1}, {"lost", 0}, {"end", "gone"}}));
}

}  // namespace
}  // namespace guest::control::testing
