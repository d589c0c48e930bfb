#include "guest/graph/run/runner.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guest/graph/run/graph_set.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::graph {
namespace {

constexpr sched::Time kMs = 1'000'000;

/// What an operator of a test does with its inputs and outputs; the kinds below only differ in their ports.
struct TestCode final : OperatorCode {
  kernel::Outcome fire(Firing& firing) override {
    threads::work(takes_ns / 2);
    threads::steal(stolen_ns);
    threads::work(takes_ns - takes_ns / 2);
    ++fired;
    if (fired == fails_at) {
      return kernel::fail("test-failed", "as it was told");
    }
    if (fired == ends_at) {
      firing.finish();
    }
    for (std::size_t i = 0; i < firing.outputs() && fired % every == 0; ++i) {
      if (firing.inputs() != 0) {
        firing.send(i, firing.input(0).share());
        continue;
      }
      auto tensor = firing.allocate(DType::U8, Shape{});
      if (!tensor) {
        return std::unexpected(tensor.error());
      }
      firing.send(i, std::move(*tensor));
    }
    return {};
  }
  std::uint64_t ready_at(std::uint64_t now_ns) override {
    if (asleep) {
      return kAsleep;
    }
    asleep = sleeps;
    if (period_ns == 0) {
      return kNow;
    }
    if (now_ns < next_ns) {
      return next_ns;
    }
    next_ns = now_ns + period_ns;
    return kNow;
  }
  std::uint64_t takes_ns = 1000;
  std::uint64_t stolen_ns = 0;
  std::uint64_t period_ns = 0;
  std::uint64_t next_ns = 0;
  std::uint64_t fails_at = 0;
  std::uint64_t ends_at = 0;
  std::uint64_t every = 1;
  bool sleeps = false;
  bool asleep = false;
  std::uint64_t fired = 0;
};

constexpr ParameterSpec kParameters[] = {{.name = "takes", .max = 1'000'000'000, .fallback = 1000},
                                         {.name = "stolen", .max = 1'000'000'000},
                                         {.name = "period", .max = 1'000'000'000},
                                         {.name = "fails", .max = 1'000'000},
                                         {.name = "ends", .max = 1'000'000},
                                         {.name = "asleep", .max = 1},
                                         {.name = "every", .min = 1, .max = 9, .fallback = 1}};

std::expected<std::unique_ptr<OperatorCode>, kernel::NamedError> make_code(const Parameters& parameters) {
  auto code = std::make_unique<TestCode>();
  code->takes_ns = static_cast<std::uint64_t>(parameters.integer("takes"));
  code->stolen_ns = static_cast<std::uint64_t>(parameters.integer("stolen"));
  code->period_ns = static_cast<std::uint64_t>(parameters.integer("period"));
  code->fails_at = static_cast<std::uint64_t>(parameters.integer("fails"));
  code->ends_at = static_cast<std::uint64_t>(parameters.integer("ends"));
  code->every = static_cast<std::uint64_t>(parameters.integer("every"));
  code->sleeps = code->asleep = parameters.integer("asleep") != 0;
  return code;
}

/// Sends three tensors for each, or, if it is told to, waits with the second time until the run is about to end.
struct EchoCode final : OperatorCode {
  kernel::Outcome fire(Firing& firing) override {
    left = left == 0 ? 3 : left;
    while (waits && left == 2 && !stopped) {
      threads::sleep_for(1000);
    }
    auto tensor = firing.allocate(DType::U8, Shape{});
    if (!tensor) {
      return std::unexpected(tensor.error());
    }
    firing.send(0, std::move(*tensor));
    if (--left != 0) {
      firing.go_on();
    }
    return {};
  }
  void begin(std::uint64_t /*now_ns*/) override {
    left = 0;
    stopped = false;
  }
  void stop() override { stopped = true; }
  int left = 0;
  bool waits = false;
  bool stopped = false;
};

constexpr ParameterSpec kEchoParameters[] = {{.name = "waits", .max = 1}};

std::expected<std::unique_ptr<OperatorCode>, kernel::NamedError> make_echo(const Parameters& parameters) {
  auto code = std::make_unique<EchoCode>();
  code->waits = parameters.integer("waits") != 0;
  return code;
}

constexpr OperatorKind kKinds[] = {
    {.name = "echo",
     .help = "",
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .parameters = kEchoParameters,
     .make = make_echo},
    {.name = "source", .help = "", .max_outputs = 8, .parameters = kParameters, .make = make_code},
    {.name = "pass",
     .help = "",
     .min_inputs = 1,
     .max_inputs = 8,
     .max_outputs = 8,
     .parameters = kParameters,
     .make = make_code},
};

class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() {
    threads::start_cpus();
    kinds.add(kKinds);
    graph = *Graph::make({.name = "g"}, kinds, schemas);
  }
  ~RunnerTest() override {
    threads::run_until_idle();
    EXPECT_EQ(runner->report().state, RunState::Idle);
    runner.reset();
    EXPECT_EQ(graph->arena().statistics().live, 0U);
    EXPECT_EQ(threads::find_dispatcher(0)->scheduler().admitted(), 0U);
    EXPECT_EQ(threads::find_dispatcher(1)->scheduler().admitted(), 0U);
    EXPECT_FALSE(threads::next_thread(0));
  }

  static void do_in_thread(const std::function<void()>& body) { threads::start("test", body); }

  void channel(std::uint32_t id, std::uint32_t capacity = 2, ChannelPolicy policy = ChannelPolicy::Block) {
    ASSERT_TRUE(graph->add_channel({.id = id, .capacity = capacity, .policy = policy}).has_value());
  }
  struct Options {
    std::uint32_t cpu = 0;
    std::uint8_t priority = 0;
    std::vector<GivenParameter> parameters = {};
  };
  Operator& add(std::string_view name, std::string_view kind, std::vector<std::uint32_t> inputs,
                std::vector<std::uint32_t> outputs, const Options& options) {
    const auto added = graph->add_operator({.id = ++last_id,
                                            .name = name,
                                            .kind = kind,
                                            .priority = options.priority,
                                            .cpu = options.cpu,
                                            .inputs = inputs,
                                            .outputs = outputs,
                                            .parameters = options.parameters});
    EXPECT_TRUE(added.has_value()) << (added ? "" : added.error().detail.view());
    return *graph->find_operator(name);
  }
  Operator& add(std::string_view name, std::string_view kind, std::vector<std::uint32_t> inputs,
                std::vector<std::uint32_t> outputs) {
    return add(name, kind, std::move(inputs), std::move(outputs), Options{});
  }
  void start(std::uint64_t steps, const std::optional<sched::ServerParameters>& server = {}) {
    runner = std::make_unique<Runner>(*graph, server);
    do_in_thread([=, this] {
      const auto started = runner->start(steps);
      EXPECT_TRUE(started.has_value()) << (started ? "" : started.error().detail.view());
    });
  }
  void expect_end(RunEnd end, std::string_view why = {}) {
    EXPECT_EQ(to_string(runner->report().end), to_string(end));
    EXPECT_EQ(runner->report().why, why);
  }

  KindTable kinds;
  SchemaRegistry schemas;
  std::unique_ptr<Graph> graph;
  std::unique_ptr<Runner> runner;
  std::uint32_t last_id = 0;
};

TEST_F(RunnerTest, a_pipeline_takes_its_steps_and_ends) {
  channel(1);
  channel(2);
  add("source", "source", {}, {1});
  Operator& middle = add("middle", "pass", {1}, {2});
  Operator& end = add("end", "pass", {2}, {});
  start(100);
  threads::run_until_idle();
  expect_end(RunEnd::Finished);
  EXPECT_EQ(middle.metrics().executions, 100U);
  EXPECT_EQ(end.metrics().executions, 100U);
  EXPECT_EQ(end.execution_time().count(), 100U);
  EXPECT_GE(end.execution_time().min(), 1000U);
  EXPECT_GE(end.latency().min(), 3000U);
  EXPECT_EQ(graph->find_channel(2)->metrics().sent, 100U);
  EXPECT_LE(graph->find_channel(2)->metrics().high_water, 2U);
  EXPECT_EQ(graph->arena().statistics().bytes_copied, 0U);
}

TEST_F(RunnerTest, what_was_stolen_is_not_part_of_what_an_execution_took) {
  channel(1);
  Operator& source = add("source", "source", {}, {1}, {.parameters = {{"stolen", "50000"}}});
  Operator& end = add("end", "pass", {1}, {});
  start(20);
  threads::run_until_idle();
  expect_end(RunEnd::Finished);
  EXPECT_GE(source.execution_time().min(), 1000U);
  EXPECT_LT(source.execution_time().max(), 5000U);
  EXPECT_LT(end.execution_time().max(), 5000U);
  EXPECT_GE(source.latency().min(), 51'000U);
}

TEST_F(RunnerTest, a_pipeline_over_two_cpus) {
  channel(1, 1);
  channel(2, 3);
  add("source", "source", {}, {1}, {.cpu = 0});
  Operator& middle = add("middle", "pass", {1}, {2}, {.cpu = 1, .parameters = {{"takes", "3000"}}});
  Operator& end = add("end", "pass", {2}, {}, {.cpu = 0});
  start(50);
  for (int i = 0; i < 400; ++i) {
    threads::run_until_idle(0);
    threads::run_until_idle(1);
  }
  expect_end(RunEnd::Finished);
  EXPECT_EQ(middle.metrics().executions, 50U);
  EXPECT_EQ(end.metrics().executions, 50U);
}

TEST_F(RunnerTest, a_ring_of_operators_that_wait_is_a_deadlock_that_names_them) {
  channel(1, 1);
  channel(2, 1);
  channel(3, 1);
  // 'a' sends to b, which sends back to a, which needs a tensor from there first.
  add("source", "source", {}, {1});
  add("a", "pass", {1, 3}, {2});
  add("b", "pass", {2}, {3});
  start(5);
  threads::run_until_idle();
  expect_end(RunEnd::Deadlock, "'b' waits for a tensor in channel 2, 'a' waits for a tensor in channel 3");
}

TEST_F(RunnerTest, what_never_comes_leaves_others_waiting) {
  channel(1);
  channel(2);
  add("often", "source", {}, {1});
  add("once", "source", {}, {2}, {.parameters = {{"ends", "1"}}});
  Operator& both = add("both", "pass", {1, 2}, {});
  start(3);
  threads::run_until_idle();
  expect_end(RunEnd::Starved, "operator 'both' waits for channel 2, which 'once' will not fill");
  EXPECT_EQ(both.metrics().executions, 1U);
  EXPECT_EQ(graph->find_channel(1)->depth(), 0U);  // the run has left nothing
}

/// 'few' gives one for three, and until then nobody takes what 'fork' has sent to 'join' directly.
TEST_F(RunnerTest, a_full_channel_beside_one_that_is_too_slow_is_a_deadlock) {
  channel(1);
  channel(2, 2);
  channel(3, 2);
  channel(4, 2);
  add("source", "source", {}, {1});
  add("fork", "pass", {1}, {2, 3});
  add("few", "pass", {2}, {4}, {.parameters = {{"every", "4"}}});
  add("join", "pass", {4, 3}, {});
  start(9);
  threads::run_until_idle();
  expect_end(RunEnd::Deadlock,
             "'join' waits for a tensor in channel 4, 'few' waits for a tensor in channel 2, 'fork' waits for room in "
             "channel 3");
}

TEST_F(RunnerTest, a_source_that_sleeps_goes_on_when_it_is_woken) {
  channel(1);
  Operator& source = add("source", "source", {}, {1}, {.parameters = {{"asleep", "1"}}});
  add("end", "pass", {1}, {});
  start(Runner::kForEver);
  threads::run_until_idle();
  EXPECT_EQ(runner->report().state, RunState::Running);
  do_in_thread([&] {
    for (int i = 0; i < 3; ++i) {
      static_cast<TestCode&>(source.code()).asleep = false;
      runner->wake(source);
      threads::sleep_for(kMs);
    }
  });
  threads::run_until_idle();
  EXPECT_EQ(source.metrics().executions, 3U);
  EXPECT_LT(source.latency().max(), kMs);  // its data is not as old as the worker's sleep
  EXPECT_EQ(runner->report().state, RunState::Running);
  do_in_thread([&] { EXPECT_TRUE(runner->drain().has_value()); });
  threads::run_until_idle();
  expect_end(RunEnd::Finished);
}

TEST_F(RunnerTest, a_failure_ends_the_run_and_says_why) {
  channel(1);
  add("source", "source", {}, {1});
  Operator& end = add("end", "pass", {1}, {}, {.parameters = {{"fails", "4"}}});
  start(Runner::kForEver);
  threads::run_until_idle();
  expect_end(RunEnd::Failed, "operator 'end': test-failed: as it was told");
  EXPECT_EQ(end.metrics().executions, 4U);
  EXPECT_EQ(end.metrics().failures, 1U);
}

TEST_F(RunnerTest, stop_and_drain) {
  channel(1);
  Operator& source = add("source", "source", {}, {1}, {.parameters = {{"period", "1000000"}}});
  Operator& end = add("end", "pass", {1}, {});
  start(Runner::kForEver);
  do_in_thread([&] {
    threads::sleep_for(10'500'000);
    EXPECT_TRUE(runner->drain().has_value());
  });
  threads::run_until_idle();
  expect_end(RunEnd::Finished);
  EXPECT_NEAR(static_cast<double>(source.metrics().executions), 11, 1);
  EXPECT_EQ(end.metrics().executions, source.metrics().executions);
  do_in_thread([&] {
    EXPECT_TRUE(runner->start(Runner::kForEver).has_value());
    EXPECT_EQ(runner->start(1).error().name, "graph-busy");
    threads::sleep_for(5'500'000);
    EXPECT_TRUE(runner->stop().has_value());
  });
  threads::run_until_idle();
  expect_end(RunEnd::Stopped);
  EXPECT_EQ(runner->stop().error().name, "graph-not-running");
}

TEST_F(RunnerTest, one_that_goes_on_takes_the_next_input_when_it_has_sent_all) {
  channel(1);
  channel(2, 1);
  add("source", "source", {}, {1});
  Operator& echo = add("echo", "echo", {1}, {2});
  Operator& end = add("end", "pass", {2}, {});
  start(10);
  threads::run_until_idle();
  expect_end(RunEnd::Finished);
  EXPECT_EQ(echo.metrics().executions, 30U);
  EXPECT_EQ(end.metrics().executions, 30U);
  EXPECT_EQ(graph->find_channel(1)->metrics().received, 10U);
  EXPECT_EQ(graph->find_channel(2)->metrics().high_water, 1U);
  EXPECT_GE(echo.latency().min(), 1000U);  // of the inputs that it had
}

TEST_F(RunnerTest, one_that_cannot_go_on_is_part_of_a_deadlock) {
  channel(1);
  channel(2, 1);
  channel(3, 1);
  add("source", "source", {}, {1, 3});
  add("echo", "echo", {1}, {2});
  add("both", "pass", {2, 3}, {});
  start(1);
  threads::run_until_idle();
  // It has nothing in its input any more, and a tensor to send; nobody will take the one before.
  expect_end(RunEnd::Starved, "operator 'both' waits for channel 3, which 'source' will not fill");
}

TEST_F(RunnerTest, one_that_waits_for_somebody_else_is_told_to_stop) {
  channel(1);
  channel(2);
  add("source", "source", {}, {1});
  Operator& echo = add("echo", "echo", {1}, {2}, {.parameters = {{"waits", "1"}}});
  add("end", "pass", {2}, {});
  start(10);
  do_in_thread([&] {
    threads::sleep_for(kMs);
    EXPECT_EQ(echo.metrics().executions, 2U);
    EXPECT_TRUE(runner->stop());
  });
  threads::run_until_idle();
  expect_end(RunEnd::Stopped);
  start(10);  // nothing is left of it
  do_in_thread([&] {
    threads::sleep_for(kMs);
    EXPECT_TRUE(runner->stop());
  });
  threads::run_until_idle();
  expect_end(RunEnd::Stopped);
  EXPECT_EQ(echo.metrics().executions, 4U);
}

TEST_F(RunnerTest, nothing_happens_while_it_is_paused) {
  channel(1);
  Operator& source = add("source", "source", {}, {1}, {.parameters = {{"period", "1000000"}}});
  add("end", "pass", {1}, {});
  start(20);
  do_in_thread([&] {
    threads::sleep_for(5'500'000);
    EXPECT_TRUE(runner->pause().has_value());
    EXPECT_EQ(runner->drain().error().name, "graph-not-running");
    threads::sleep_for(kMs / 10);
    const std::uint64_t executions = source.metrics().executions;
    threads::sleep_for(50 * kMs);
    EXPECT_EQ(source.metrics().executions, executions);
    EXPECT_TRUE(runner->resume().has_value());
    EXPECT_EQ(runner->resume().error().name, "graph-not-paused");
  });
  threads::run_until_idle();
  expect_end(RunEnd::Finished);
  EXPECT_EQ(source.metrics().executions, 20U);
}

TEST_F(RunnerTest, a_budget_is_kept) {
  channel(1, 8);
  add("source", "source", {}, {1}, {.parameters = {{"takes", "400000"}}});
  add("end", "pass", {1}, {}, {.parameters = {{"takes", "100000"}}});
  const sched::ServerParameters server{.budget = 2 * kMs, .period = 10 * kMs, .deadline = 10 * kMs};
  start(40, server);
  threads::run_until_idle();
  expect_end(RunEnd::Finished);
  // 20 ms of work at 2 in 10.
  EXPECT_GE(runner->report().ran_ns, 90U * kMs);
  EXPECT_LE(runner->report().ran_ns, 110U * kMs);
}

TEST_F(RunnerTest, what_is_not_admitted_does_not_start) {
  add("source", "source", {}, {});
  const sched::ServerParameters server{.budget = 9 * kMs, .period = 10 * kMs, .deadline = 10 * kMs};
  runner = std::make_unique<Runner>(*graph, server);
  do_in_thread([&] {
    const auto started = runner->start(1);
    ASSERT_FALSE(started.has_value());
    EXPECT_EQ(started.error().name, "graph-not-admitted");
    EXPECT_EQ(started.error().detail.view(),
              "graph 'g' does not fit on CPU 0: it needs 900000 ppm, 0 are promised of at most 850000");
  });
  threads::run_until_idle();
  EXPECT_EQ(runner->report().state, RunState::Idle);
}

TEST_F(RunnerTest, the_larger_priority_goes_first_and_equals_take_turns) {
  channel(1, 4);
  channel(2, 4);
  channel(3, 4, ChannelPolicy::DropNewest);
  Operator& one = add("one", "source", {}, {1});
  Operator& two = add("two", "source", {}, {2});
  Operator& urgent = add("urgent", "source", {}, {3}, {.priority = 9});
  add("end", "pass", {1}, {});
  add("end2", "pass", {2}, {});
  add("end3", "pass", {3}, {});
  runner = std::make_unique<Runner>(*graph, std::nullopt);
  do_in_thread([&] {
    EXPECT_TRUE(runner->start(Runner::kForEver).has_value());
    threads::sleep_for(kMs);
    EXPECT_TRUE(runner->stop().has_value());
  });
  threads::run_until_idle();
  // It never has to wait, so nobody else ever runs.
  EXPECT_GT(urgent.metrics().executions, 500U);
  EXPECT_EQ(one.metrics().executions, 0U);
  EXPECT_EQ(two.metrics().executions, 0U);
}

}  // namespace
}  // namespace guest::graph
