// Running graphs by commands: states, ends, and answers that come when a run is over.
#include <gtest/gtest.h>

#include "graph_fixture.hpp"

namespace guest::control::testing {
namespace {

constexpr sched::Time kMs = 1'000'000;

class GraphRunCommandTest : public GraphCommandTest {
 protected:
  /// "state end" of a graph.
  std::string state(std::string_view graph) {
    const json shown = done("graph show", {graph});
    return shown["state"].get<std::string>() + " " + shown["end"].get<std::string>();
  }
  /// Starts in a thread, as in the guest.
  void start(std::string_view graph, std::string_view steps) {
    in_thread([&] { done("graph start", {graph, steps}); });
  }
};

TEST_F(GraphRunCommandTest, a_run_is_started_and_ends) {
  make_pipeline("g");
  in_thread([&] {
    const json started = done("graph start", {"g", "5"});
    EXPECT_EQ(started["state"], "running");
    EXPECT_EQ(started["end"], "none");
    EXPECT_EQ(started["runs"], 1);
    EXPECT_FALSE(started.contains("why"));
  });
  const json shown = done("graph show", {"g"});
  EXPECT_EQ(shown["state"], "idle");
  EXPECT_EQ(shown["end"], "finished");
  EXPECT_EQ(shown["name"], "g");
  const json stats = done("graph stats", {"g"});
  EXPECT_EQ(stats["operators"][0]["executions"], 5);
  EXPECT_EQ(stats["operators"][1]["executions"], 5);
  EXPECT_EQ(stats["operators"][1]["execution_time"]["count"], 5);
  EXPECT_GE(stats["operators"][1]["execution_time"]["min_ns"], 1000);
  EXPECT_GE(stats["operators"][1]["latency"]["min_ns"], 2000);
  EXPECT_EQ(stats["operators"][1]["failures"], 0);
  EXPECT_EQ(stats["channels"][0]["sent"], 5);
  EXPECT_EQ(stats["channels"][0]["received"], 5);
  EXPECT_EQ(stats["channels"][0]["depth"], 0);
  EXPECT_EQ(stats["channels"][0]["dropped_oldest"], 0);
  EXPECT_EQ(stats["tensors"]["allocated"], 5);
  EXPECT_EQ(stats["tensors"]["live"], 0);
  EXPECT_EQ(stats["tensors"]["bytes_copied"], 0);
}

TEST_F(GraphRunCommandTest, executions_over_their_wcet_are_counted) {
  done("graph create", {"g"});
  done("graph add-operator", {"g", "1", "a", "src", "", "", "0", "acquire", "999"});
  done("graph add-operator", {"g", "2", "b", "src", "", "", "0", "acquire", "1000"});
  start("g", "3");
  const json operators = done("graph stats", {"g"})["operators"];
  EXPECT_EQ(operators[0]["overruns"], 3);
  EXPECT_EQ(operators[1]["overruns"], 0);
  EXPECT_EQ(operators[1]["wcet_ns"], 1000);
}

TEST_F(GraphRunCommandTest, start_refuses_and_nothing_runs) {
  done("graph create", {"g"});
  EXPECT_EQ(refusal("graph start", {"g"}), "graph-incomplete: graph 'g' has no operators");
  done("graph add-channel", {"g", "1", "2"});
  done("graph add-operator", {"g", "1", "a", "src"});
  EXPECT_EQ(refusal("graph start", {"g"}), "graph-incomplete: channel 1 of graph 'g' has no producer");
  done("graph add-operator", {"g", "2", "b", "src", "", "1"});
  EXPECT_EQ(refusal("graph start", {"g"}), "graph-incomplete: channel 1 of graph 'g' has no consumer");
  done("graph add-operator", {"g", "3", "c", "pass", "1", "--cpu", "5"});
  EXPECT_EQ(refusal("graph start", {"g"}), "graph-bad-cpu: operator 'c' is on CPU 5, which is not there or is off");
  EXPECT_EQ(refusal("graph start", {"g", "0"}),
            "bad-argument [steps]: steps: found 0, allowed: an integer from 1 to 1000000000000");
  EXPECT_EQ(state("g"), "idle none");

  done("graph create", {"h", "--budget_us", "9000", "--period_us", "10000"});
  done("graph add-operator", {"h", "1", "a", "src"});
  EXPECT_EQ(
      refusal("graph start", {"h", "1"}),
      "graph-not-admitted: graph 'h' does not fit on CPU 0: it needs 900000 ppm, 0 are promised of at most 850000");
  EXPECT_EQ(state("h"), "idle none");
  EXPECT_EQ(run("sched")["servers"], json::array());
}

TEST_F(GraphRunCommandTest, what_does_not_run_cannot_be_stopped) {
  make_pipeline("g");
  for (const std::string_view name : {"graph stop", "graph drain", "graph pause"}) {
    EXPECT_EQ(refusal(name, {"g"}), "graph-not-running: graph 'g' is idle") << name;
  }
  EXPECT_EQ(refusal("graph resume", {"g"}), "graph-not-paused: graph 'g' is idle");
}

TEST_F(GraphRunCommandTest, a_graph_is_not_changed_while_it_runs) {
  make_pipeline("g", "period_us=1000");
  const json before = structure("g");
  in_thread([&] {
    done("graph start", {"g"});
    const std::string busy = "graph-busy [graph]: graph 'g' is running: stop it first";
    EXPECT_EQ(refusal("graph add-channel", {"g", "9", "1"}), busy);
    EXPECT_EQ(refusal("graph add-operator", {"g", "9", "x", "src"}), busy);
    EXPECT_EQ(refusal("graph destroy", {"g"}), "graph-busy: graph 'g' is running: stop it first");
    EXPECT_EQ(refusal("graph start", {"g"}), "graph-busy: graph 'g' is running");
    EXPECT_EQ(refusal("graph resume", {"g"}), "graph-not-paused: graph 'g' is running");
    EXPECT_EQ(done("graph pause", {"g"})["state"], "paused");
    EXPECT_EQ(refusal("graph add-channel", {"g", "9", "1"}), "graph-busy [graph]: graph 'g' is paused: stop it first");
    EXPECT_EQ(refusal("graph pause", {"g"}), "graph-not-running: graph 'g' is paused");
    EXPECT_EQ(refusal("graph drain", {"g"}), "graph-not-running: graph 'g' is paused");
    EXPECT_EQ(done("graph resume", {"g"})["state"], "running");
    const json stopped = done("graph stop", {"g"});
    EXPECT_EQ(stopped["state"], "stopping");
    EXPECT_EQ(stopped["end"], "stopped");
    EXPECT_EQ(refusal("graph stop", {"g"}), "graph-not-running: graph 'g' is stopping");
    EXPECT_EQ(refusal("graph add-channel", {"g", "9", "1"}),
              "graph-busy [graph]: graph 'g' is stopping: stop it first");
  });
  EXPECT_EQ(state("g"), "idle stopped");
  EXPECT_EQ(structure("g"), before);
  done("graph add-channel", {"g", "9", "1"});
}

TEST_F(GraphRunCommandTest, drain_lets_what_is_there_come_to_its_end) {
  make_pipeline("g", "period_us=1000");
  in_thread([&] {
    done("graph start", {"g"});
    EXPECT_TRUE(threads::sleep_for(5 * kMs + kMs / 2));
    EXPECT_EQ(done("graph drain", {"g"})["state"], "running");
  });
  EXPECT_EQ(state("g"), "idle finished");
  const json operators = done("graph stats", {"g"})["operators"];
  EXPECT_GE(operators[0]["executions"], 5);
  EXPECT_EQ(operators[1]["executions"], operators[0]["executions"]);
}

TEST_F(GraphRunCommandTest, ends_say_why) {
  make_pipeline("broken", "", "fails=3");
  start("broken", "9");
  EXPECT_EQ(state("broken"), "idle failed");
  EXPECT_EQ(done("graph show", {"broken"})["why"], "operator 'end': test-failed: as it was told");
  EXPECT_EQ(done("graph stats", {"broken"})["operators"][1]["failures"], 1);

  done("graph create", {"ring"});
  done("graph add-channel", {"ring", "1", "1"});
  done("graph add-channel", {"ring", "2", "1"});
  done("graph add-channel", {"ring", "3", "1"});
  done("graph add-operator", {"ring", "1", "source", "src", "", "1"});
  done("graph add-operator", {"ring", "2", "a", "pass", "1,3", "2"});
  done("graph add-operator", {"ring", "3", "b", "pass", "2", "3"});
  start("ring", "2");
  EXPECT_EQ(state("ring"), "idle deadlock");
  EXPECT_EQ(done("graph show", {"ring"})["why"],
            "'b' waits for a tensor in channel 2, 'a' waits for a tensor in channel 3");

  done("graph create", {"starved"});
  done("graph add-channel", {"starved", "1", "1"});
  done("graph add-channel", {"starved", "2", "1"});
  done("graph add-operator", {"starved", "1", "often", "src", "", "1"});
  done("graph add-operator", {"starved", "2", "once", "src", "", "2", "--parameters", "count=1"});
  done("graph add-operator", {"starved", "3", "both", "pass", "1,2"});
  start("starved", "5");
  EXPECT_EQ(done("graph show", {"starved"})["end"], "starved");
  EXPECT_EQ(done("graph list", {})["graphs"][2]["why"],
            "operator 'both' waits for channel 2, which 'once' will not fill");
  // The next run forgets it.
  in_thread([&] { EXPECT_FALSE(done("graph start", {"starved", "1"}).contains("why")); });
  EXPECT_EQ(state("starved"), "idle finished");
}

TEST_F(GraphRunCommandTest, wait_answers_at_once_when_nothing_runs) {
  make_pipeline("g");
  EXPECT_EQ(done("graph wait", {"g"})["end"], "none");
  start("g", "1");
  const json answer = done("graph wait", {"g"});
  EXPECT_EQ(answer["state"], "idle");
  EXPECT_EQ(answer["end"], "finished");
  EXPECT_EQ(answer["runs"], 1);
}

TEST_F(GraphRunCommandTest, wait_answers_when_the_run_has_ended) {
  make_pipeline("g", "", "fails=2");
  LaterCaller first;
  LaterCaller second;
  in_thread([&] {
    done("graph start", {"g", "3"});
    EXPECT_TRUE(run_for(first, "graph wait", {"g"}).is_null());
    EXPECT_TRUE(run_for(second, "graph wait", {"g"}).is_null());
    EXPECT_NE(first.operation, nullptr);
    EXPECT_TRUE(first.answer.is_null());
  });
  EXPECT_EQ(first.answer, done("graph wait", {"g"}));
  EXPECT_EQ(first.answer["why"], "operator 'end': test-failed: as it was told");
  EXPECT_EQ(second.answer, first.answer);
}

TEST_F(GraphRunCommandTest, a_wait_that_was_cancelled_is_not_answered) {
  make_pipeline("g", "period_us=1000");
  LaterCaller cancelled;
  LaterCaller late;
  LaterCaller other;
  in_thread([&] {
    done("graph start", {"g"});
    for (LaterCaller* const caller : {&cancelled, &late, &other}) {
      EXPECT_TRUE(run_for(*caller, "graph wait", {"g"}).is_null());
    }
    cancelled.operation->cancel();
    // When the run is over and the answers are about to be given.
    other.then = [&] {};
    done("graph stop", {"g"});
  });
  EXPECT_TRUE(cancelled.answer.is_null());
  EXPECT_EQ(other.answer["end"], "stopped");
  EXPECT_EQ(late.answer["end"], "stopped");
}

/// Regression test: who was answered destroyed the graph, whose runner went on to the next one who waited.
TEST_F(GraphRunCommandTest, who_waited_may_destroy_the_graph_at_once) {
  make_pipeline("g");
  LaterCaller first;
  LaterCaller second;
  first.then = [&] { done("graph destroy", {"g"}); };
  in_thread([&] {
    done("graph start", {"g", "3"});
    EXPECT_TRUE(run_for(first, "graph wait", {"g"}).is_null());
    EXPECT_TRUE(run_for(second, "graph wait", {"g"}).is_null());
  });
  EXPECT_EQ(first.answer["end"], "finished");
  EXPECT_EQ(second.answer["end"], "finished");
  EXPECT_EQ(graph::graph_set().size(), 0U);
}

/// Regression test: who waited for the second run was told of it as soon as it had begun.
TEST_F(GraphRunCommandTest, who_waited_may_start_and_wait_again_at_once) {
  make_pipeline("g");
  LaterCaller first;
  LaterCaller again;
  LaterCaller second;
  first.then = [&] {
    done("graph start", {"g", "2"});
    EXPECT_TRUE(run_for(again, "graph wait", {"g"}).is_null());
    EXPECT_TRUE(again.answer.is_null());
  };
  in_thread([&] {
    done("graph start", {"g", "3"});
    EXPECT_TRUE(run_for(first, "graph wait", {"g"}).is_null());
    EXPECT_TRUE(run_for(second, "graph wait", {"g"}).is_null());
  });
  EXPECT_EQ(first.answer["runs"], 1);
  EXPECT_EQ(second.answer["runs"], 1);
  EXPECT_EQ(second.answer["state"], "idle");
  EXPECT_EQ(again.answer["runs"], 2);
  EXPECT_EQ(again.answer["end"], "finished");
}

/// The answer of one who waits may be another one's reason not to want theirs any more.
TEST_F(GraphRunCommandTest, a_wait_may_be_cancelled_between_the_end_and_its_answer) {
  make_pipeline("g");
  LaterCaller first;
  LaterCaller second;
  first.then = [&] { second.operation->cancel(); };
  in_thread([&] {
    done("graph start", {"g", "3"});
    EXPECT_TRUE(run_for(first, "graph wait", {"g"}).is_null());
    EXPECT_TRUE(run_for(second, "graph wait", {"g"}).is_null());
  });
  EXPECT_EQ(first.answer["end"], "finished");
  EXPECT_TRUE(second.answer.is_null());
}

TEST_F(GraphRunCommandTest, a_graph_with_a_budget_has_servers_while_it_runs) {
  done("graph create", {"g", "--budget_us", "2000", "--period_us", "10000"});
  done("graph add-channel", {"g", "1", "1"});
  done("graph add-operator", {"g", "1", "a", "src", "", "1", "--parameters", "period_us=1000"});
  done("graph add-operator", {"g", "2", "b", "pass", "1", "--cpu", "1"});
  in_thread([&] {
    done("graph start", {"g"});
    const json servers = run("sched")["servers"];
    ASSERT_EQ(servers.size(), 2U);
    EXPECT_EQ(servers[0]["name"], "g.cpu0");
    EXPECT_EQ(servers[1]["name"], "g.cpu1");
    EXPECT_EQ(servers[1]["cpu"], 1);
    EXPECT_EQ(servers[0]["budget_ns"], 2'000'000);
    EXPECT_EQ(refusal("det", {"remove", "g.cpu0"}),
              "busy [name]: 'g.cpu0' belongs to a graph, which has it as long as it runs");
    done("graph stop", {"g"});
  });
  threads::run_until_idle(1);
  threads::run_until_idle(0);
  EXPECT_EQ(state("g"), "idle stopped");
  EXPECT_EQ(run("sched")["servers"], json::array());
}

class SchemasFullTest : public GraphCommandTest {};

/// Last: schemas are never forgotten.
TEST_F(SchemasFullTest, there_are_64_schemas_at_most) {
  const std::size_t there = graph::graph_set().schemas().size();
  for (std::size_t i = there; i < graph::SchemaRegistry::kMaxSchemas; ++i) {
    done("graph schema", {"filler." + std::to_string(i)});
  }
  EXPECT_EQ(refusal("graph schema", {"one.more"}), "graph-full: there are 64 schemas already");
  EXPECT_EQ(refusal("graph schema", {"one.more", "77"}), "graph-full: there are 64 schemas already");
}

}  // namespace
}  // namespace guest::control::testing
