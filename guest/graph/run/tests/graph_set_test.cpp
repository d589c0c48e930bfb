// The graphs of a kernel: made, found, destroyed; several that run at a time, on two CPUs, again after each end.
#include "guest/graph/run/graph_set.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::graph {
namespace {

constexpr sched::Time kMs = 1'000'000;

/// Makes or passes on a tensor, in a microsecond; fails at the execution that `fails` says.
struct StepCode final : OperatorCode {
  explicit StepCode(const Parameters& parameters)
      : fails_at(static_cast<std::uint64_t>(parameters.integer("fails"))),
        ends_at(static_cast<std::uint64_t>(parameters.integer("ends"))),
        period_ns(static_cast<std::uint64_t>(parameters.integer("period"))) {}
  void begin(std::uint64_t /*now_ns*/) override { fired = 0; }
  std::uint64_t ready_at(std::uint64_t now_ns) override {
    if (now_ns < next_ns) {
      return next_ns;
    }
    next_ns = now_ns + period_ns;
    return kNow;
  }
  kernel::Outcome fire(Firing& firing) override {
    threads::work(1000);
    if (++fired == fails_at) {
      return kernel::fail("test-failed", "as it was told");
    }
    for (std::size_t i = 0; i < firing.outputs(); ++i) {
      auto made = firing.allocate(DType::U8, Shape{});
      if (!made) {
        return std::unexpected(made.error());
      }
      firing.send(i, *std::move(made));
    }
    if (fired == ends_at) {
      firing.finish();
    }
    return {};
  }
  std::uint64_t fails_at;
  std::uint64_t ends_at;
  std::uint64_t period_ns;
  std::uint64_t next_ns = 0;
  std::uint64_t fired = 0;
};

constexpr ParameterSpec kParameters[] = {
    {.name = "fails", .max = 1000}, {.name = "ends", .max = 1000}, {.name = "period", .max = 1'000'000'000}};

constexpr OperatorKind kKinds[] = {
    {.name = "step",
     .help = "",
     .max_inputs = 8,
     .max_outputs = 8,
     .parameters = kParameters,
     .make = [](const Parameters& parameters) -> std::expected<std::unique_ptr<OperatorCode>, kernel::NamedError> {
       return std::make_unique<StepCode>(parameters);
     }}};

class GraphSetTest : public ::testing::Test {
 protected:
  GraphSetTest() {
    threads::start_cpus();
    set.kinds().add(kKinds);
  }
  ~GraphSetTest() override {
    run_both();
    EXPECT_EQ(threads::find_dispatcher(0)->scheduler().admitted(), 0U);
    EXPECT_EQ(threads::find_dispatcher(1)->scheduler().admitted(), 0U);
  }

  /// Threads of two CPUs wake each other, one CPU runs at a time.
  static void run_both() {
    for (int i = 0; i < 300; ++i) {
      threads::run_until_idle(1);
      threads::run_until_idle(0);
    }
  }
  GraphEntry& create(std::string_view name, const std::optional<sched::ServerParameters>& server = {}) {
    const auto made = set.create({.name = name, .memory_bytes = 65'536, .tensors = 16}, server);
    EXPECT_TRUE(made.has_value()) << made.error().detail.view();
    return **made;
  }
  /// source -> 1 -> sink
  GraphEntry& create_pipeline(std::string_view name, std::uint32_t cpu = 0, std::uint32_t end_cpu = 0,
                              const std::optional<sched::ServerParameters>& server = {},
                              const std::vector<GivenParameter>& parameters = {}) {
    GraphEntry& entry = create(name, server);
    const std::uint32_t ids[] = {1};
    EXPECT_TRUE(entry.graph->add_channel({.id = 1, .capacity = 2}).has_value());
    EXPECT_TRUE(entry.graph
                    ->add_operator({.id = 1,
                                    .name = "source",
                                    .kind = "step",
                                    .cpu = cpu,
                                    .inputs = {},
                                    .outputs = ids,
                                    .parameters = parameters})
                    .has_value());
    EXPECT_TRUE(entry.graph
                    ->add_operator({.id = 2,
                                    .name = "sink",
                                    .kind = "step",
                                    .cpu = end_cpu,
                                    .inputs = ids,
                                    .outputs = {},
                                    .parameters = {}})
                    .has_value());
    return entry;
  }
  static void in_thread(const std::function<void()>& body) { threads::start("test", body); }
  static std::uint64_t executions(const GraphEntry& entry, std::string_view name) {
    return entry.graph->find_operator(name)->metrics().executions;
  }
  static std::string error(const kernel::Outcome& outcome) {
    return outcome ? "none" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
  }
  static std::string end_of(const GraphEntry& entry) {
    const RunReport report = entry.runner->report();
    return std::string(to_string(report.state)) + " " + std::string(to_string(report.end));
  }

  GraphSet set;
};

TEST_F(GraphSetTest, graphs_are_made_found_and_destroyed) {
  EXPECT_EQ(set.size(), 0U);
  EXPECT_EQ(set.find("a"), nullptr);
  create("a");
  create("b");
  create("c");
  ASSERT_EQ(set.size(), 3U);
  EXPECT_EQ(set.find("b"), &set.at(1));
  EXPECT_EQ(error(set.destroy("b")), "none");
  EXPECT_EQ(set.at(1).graph->name(), "c");
  EXPECT_EQ(set.find("b"), nullptr);
  EXPECT_EQ(error(set.destroy("b")), "graph-unknown: there is no graph 'b'");
  EXPECT_EQ(set.create({.name = "c"}, {}).error().name, "graph-duplicate-name");
  EXPECT_EQ(set.create({.name = ""}, {}).error().name, "graph-bad-name");
  EXPECT_EQ(set.create({.name = "d", .memory_bytes = 1}, {}).error().name, "graph-bad-memory");
  const sched::ServerParameters none{.budget = 0, .period = kMs, .deadline = kMs};
  EXPECT_EQ(set.create({.name = "d"}, none).error().name, "graph-bad-server");
  EXPECT_EQ(set.size(), 2U);
}

TEST_F(GraphSetTest, a_full_set_takes_one_for_each_that_goes) {
  for (char name = 'a'; name < 'a' + static_cast<char>(GraphSet::kMaxGraphs); ++name) {
    create({&name, 1});
  }
  const auto refused = set.create({.name = "i"}, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().name, "graph-full");
  EXPECT_EQ(refused.error().detail.view(), "graph 'i': there are 8 graphs already, which is all there can be");
  // The last one and the first one leave different gaps.
  EXPECT_EQ(error(set.destroy("h")), "none");
  EXPECT_EQ(error(set.destroy("a")), "none");
  create("i");
  create("j");
  EXPECT_EQ(set.at(0).graph->name(), "b");
  EXPECT_EQ(set.at(7).graph->name(), "j");
}

TEST_F(GraphSetTest, what_runs_is_not_destroyed) {
  GraphEntry& entry = create_pipeline("g", 0, 0, {}, {{"period", "1000000"}});
  in_thread([&] {
    EXPECT_TRUE(entry.runner->start(Runner::kForEver).has_value());
    EXPECT_EQ(error(set.destroy("g")), "graph-busy: graph 'g' is running: stop it first");
    EXPECT_TRUE(entry.runner->pause().has_value());
    EXPECT_EQ(error(set.destroy("g")), "graph-busy: graph 'g' is paused: stop it first");
    EXPECT_TRUE(entry.runner->stop().has_value());
    EXPECT_EQ(error(set.destroy("g")), "graph-busy: graph 'g' is stopping: stop it first");
  });
  threads::run_until_idle();
  EXPECT_EQ(error(set.destroy("g")), "none");
}

TEST_F(GraphSetTest, all_of_them_run_at_a_time) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < GraphSet::kMaxGraphs; ++i) {
    names.push_back("g" + std::to_string(i));
    create_pipeline(names.back(), static_cast<std::uint32_t>(i % 2), static_cast<std::uint32_t>(i / 2 % 2));
  }
  in_thread([&] {
    for (std::size_t i = 0; i < set.size(); ++i) {
      EXPECT_EQ(error(set.at(i).runner->start(10 + i)), "none");
    }
  });
  run_both();
  for (std::size_t i = 0; i < set.size(); ++i) {
    EXPECT_EQ(end_of(set.at(i)), "idle finished") << i;
    EXPECT_EQ(executions(set.at(i), "sink"), 10 + i);
  }
}

TEST_F(GraphSetTest, two_cpus_have_a_server_each_while_it_runs) {
  const sched::ServerParameters server{.budget = 2 * kMs, .period = 10 * kMs, .deadline = 10 * kMs};
  GraphEntry& entry = create_pipeline("g", 0, 1, server, {{"period", "1000000"}});
  in_thread([&] {
    EXPECT_EQ(error(entry.runner->start(8)), "none");
    EXPECT_EQ(threads::find_dispatcher(0)->scheduler().admitted(), 200'000U);
    EXPECT_EQ(threads::find_dispatcher(1)->scheduler().admitted(), 200'000U);
    EXPECT_NE(tasks::task_set().find_server("g.cpu0"), nullptr);
    EXPECT_NE(tasks::task_set().find_server("g.cpu1"), nullptr);
  });
  run_both();
  EXPECT_EQ(end_of(entry), "idle finished");
  EXPECT_EQ(executions(entry, "sink"), 8U);
  EXPECT_EQ(tasks::task_set().find_server("g.cpu0"), nullptr);
}

/// CPU 1 has no room: what CPU 0 had promised already is taken back.
TEST_F(GraphSetTest, a_graph_that_fits_on_one_cpu_of_two_does_not_start) {
  const sched::ServerParameters large{.budget = 6 * kMs, .period = 10 * kMs, .deadline = 10 * kMs};
  GraphEntry& first = create_pipeline("first", 1, 1, large, {{"period", "1000000"}});
  GraphEntry& second = create_pipeline("second", 0, 1, large);
  in_thread([&] {
    EXPECT_EQ(error(first.runner->start(3)), "none");
    EXPECT_EQ(
        error(second.runner->start(3)),
        "graph-not-admitted: graph 'second' does not fit on CPU 1: it needs 600000 ppm, 600000 are promised of at "
        "most 850000");
    EXPECT_EQ(threads::find_dispatcher(0)->scheduler().admitted(), 0U);
    EXPECT_EQ(end_of(second), "idle none");
  });
  run_both();
  in_thread([&] { EXPECT_EQ(error(second.runner->start(3)), "none"); });
  run_both();
  EXPECT_EQ(executions(second, "sink"), 3U);
}

TEST_F(GraphSetTest, a_server_of_that_name_is_in_the_way) {
  const sched::ServerParameters server{.budget = kMs, .period = 10 * kMs, .deadline = 10 * kMs};
  ASSERT_TRUE(tasks::task_set().add_server({.name = "g.cpu0", .parameters = server}).has_value());
  GraphEntry& entry = create_pipeline("g", 0, 0, server);
  in_thread([&] {
    EXPECT_EQ(error(entry.runner->start(1)),
              "graph-not-admitted: graph 'g' needs a server 'g.cpu0', and another one has that name");
  });
  threads::run_until_idle();
  EXPECT_EQ(tasks::task_set().remove_server("g.cpu0"), kernel::Status::Ok);
}

/// Each end of a run leaves a graph that runs again as if it had not been.
TEST_F(GraphSetTest, a_graph_starts_again_after_each_end) {
  GraphEntry& entry = create("g");
  for (const std::uint32_t id : {1U, 2U}) {
    ASSERT_TRUE(entry.graph->add_channel({.id = id, .capacity = 1}).has_value());
  }
  const std::uint32_t one[] = {1};
  const std::uint32_t two[] = {2};
  const std::uint32_t both[] = {1, 2};
  const GivenParameter ends[] = {{.name = "ends", .value = "4"}};
  const GivenParameter fails[] = {{.name = "fails", .value = "3"}};
  ASSERT_TRUE(
      entry.graph->add_operator({.id = 1, .name = "a", .kind = "step", .inputs = {}, .outputs = one, .parameters = {}})
          .has_value());
  ASSERT_TRUE(
      entry.graph
          ->add_operator(
              {.id = 2, .name = "b", .kind = "step", .cpu = 1, .inputs = {}, .outputs = two, .parameters = ends})
          .has_value());
  ASSERT_TRUE(
      entry.graph->add_operator({.id = 3, .name = "c", .kind = "step", .inputs = both, .outputs = {}, .parameters = {}})
          .has_value());
  const auto run = [&](std::uint64_t steps, bool stop) {
    in_thread([&, steps, stop] {
      EXPECT_EQ(error(entry.runner->start(steps)), "none");
      if (stop) {
        EXPECT_EQ(error(entry.runner->stop()), "none");
      }
    });
    run_both();
    EXPECT_EQ(entry.graph->arena().statistics().live, 0U);
    return end_of(entry) + ": " + std::string(entry.runner->report().why);
  };
  EXPECT_EQ(run(2, false), "idle finished: ");
  EXPECT_EQ(run(9, false), "idle starved: operator 'c' waits for channel 2, which 'b' will not fill");
  EXPECT_EQ(run(9, true), "idle stopped: ");
  EXPECT_EQ(run(9, false), "idle starved: operator 'c' waits for channel 2, which 'b' will not fill");
  ASSERT_TRUE(
      entry.graph
          ->add_operator(
              {.id = 4, .name = "d", .kind = "step", .cpu = 1, .inputs = {}, .outputs = {}, .parameters = fails})
          .has_value());
  EXPECT_EQ(run(9, false), "idle failed: operator 'd': test-failed: as it was told");
  EXPECT_EQ(run(2, false), "idle finished: ");
  EXPECT_EQ(entry.runner->report().runs, 6U);
}

/// Regression test: nobody looked again whether a run was over that had come to its end just before it was paused.
TEST_F(GraphSetTest, a_run_that_has_nothing_left_to_do_when_it_is_paused_ends_when_it_is_resumed) {
  GraphEntry& entry = create_pipeline("g");
  in_thread([&] {
    EXPECT_EQ(error(entry.runner->start(3)), "none");
    // Comes when the graph's thread has done all, and before the control loop.
    threads::start("pauses", [&] {
      EXPECT_EQ(executions(entry, "sink"), 3U);
      EXPECT_EQ(error(entry.runner->pause()), "none");
    });
  });
  run_both();
  EXPECT_EQ(end_of(entry), "paused none");
  in_thread([&] { EXPECT_EQ(error(entry.runner->resume()), "none"); });
  run_both();
  EXPECT_EQ(end_of(entry), "idle finished");
}

/// Regression test: the run was over before the item of its threads had run, which then was one of a graph that was
/// gone. The order of the queue makes it so: a thread that died before has raised the item that buries threads, which
/// so comes before the failure; the failure was found, the graph destroyed, and only then came the item of its threads.
TEST_F(GraphSetTest, a_graph_that_failed_is_destroyed_as_soon_as_that_can_be) {
  GraphEntry& entry = create("g");
  const GivenParameter fails[] = {{.name = "fails", .value = "1"}};
  ASSERT_TRUE(
      entry.graph
          ->add_operator({.id = 1, .name = "a", .kind = "step", .inputs = {}, .outputs = {}, .parameters = fails})
          .has_value());
  struct Destroyer {
    void destroy() {
      if (!set.destroy("g")) {
        kernel::work_queue().raise(item);
      }
    }
    GraphSet& set;
    kernel::WorkItem item{[](void* self) { static_cast<Destroyer*>(self)->destroy(); }, this};
  } destroyer{.set = set};
  in_thread([&] {
    threads::start("dies first", [] {});
    EXPECT_EQ(error(entry.runner->start(9)), "none");
    threads::start("asks", [&] { kernel::work_queue().raise(destroyer.item); });
  });
  run_both();
  EXPECT_EQ(set.size(), 0U);
}

TEST_F(GraphSetTest, a_graph_is_replaced_by_an_empty_one_in_its_place) {
  create_pipeline("first", 0, 0, sched::ServerParameters{.budget = kMs, .period = 10 * kMs, .deadline = 10 * kMs});
  create("second");
  const auto replaced = set.replace({.name = "first"});
  ASSERT_TRUE(replaced.has_value());
  EXPECT_EQ(*replaced, &set.at(0));
  EXPECT_TRUE((*replaced)->graph->operators().empty());
  EXPECT_FALSE((*replaced)->runner->server().has_value());
  ASSERT_TRUE(set.replace({.name = "third"}).has_value());  // there was none
  EXPECT_EQ(set.size(), 3U);
}

TEST_F(GraphSetTest, a_graph_that_cannot_be_replaced_stays) {
  GraphEntry& entry = create_pipeline("g");
  EXPECT_EQ(set.replace({.name = "g", .tensors = 0}).error().name, "graph-bad-memory");
  in_thread([&] {
    EXPECT_EQ(error(entry.runner->start(9)), "none");
    EXPECT_EQ(set.replace({.name = "g"}).error().name, "graph-busy");
  });
  run_both();
  EXPECT_EQ(set.find("g")->runner->report().executions, 18U);
  // With as many graphs as there can be, too.
  for (char name = '1'; set.size() < GraphSet::kMaxGraphs; ++name) {
    create({&name, 1});
  }
  EXPECT_TRUE(set.replace({.name = "g"}).has_value());
  EXPECT_EQ(set.replace({.name = "one more"}).error().name, "graph-full");
}

TEST_F(GraphSetTest, executions_are_those_of_one_run) {
  GraphEntry& entry = create_pipeline("g");
  EXPECT_EQ(entry.runner->report().executions, 0U);
  for (const std::uint64_t steps : {5U, 3U}) {
    in_thread([&] { EXPECT_EQ(error(entry.runner->start(steps)), "none"); });
    run_both();
    EXPECT_EQ(entry.runner->report().executions, 2 * steps);
  }
}

TEST_F(GraphSetTest, a_server_is_given_to_a_graph_if_every_cpu_would_promise_it) {
  GraphEntry& entry = create_pipeline("g", 0, 1);
  const auto server = [](sched::Time budget) {
    return sched::ServerParameters{.budget = budget, .period = 10 * kMs, .deadline = 10 * kMs};
  };
  EXPECT_EQ(error(entry.runner->set_server(server(2 * kMs))), "none");
  EXPECT_EQ(entry.runner->server()->budget, 2 * kMs);
  GraphEntry& other = create_pipeline("other", 1, 1, server(7 * kMs));
  in_thread([&] {
    EXPECT_EQ(error(other.runner->start(1)), "none");
    // It fits on CPU 0, and not on CPU 1.
    EXPECT_EQ(entry.runner->set_server(server(3 * kMs)).error().name, "graph-not-admitted");
    EXPECT_EQ(other.runner->set_server(server(kMs)).error().name, "graph-busy");
  });
  run_both();
  EXPECT_EQ(entry.runner->server()->budget, 2 * kMs);
  EXPECT_EQ(error(entry.runner->set_server(server(3 * kMs))), "none");
  EXPECT_EQ(entry.runner->set_server(server(0)).error().name, "graph-bad-server");
  // Without operators the first CPU is asked.
  GraphEntry& empty = create("empty");
  EXPECT_EQ(empty.runner->set_server(server(9 * kMs)).error().name, "graph-not-admitted");
  EXPECT_EQ(error(empty.runner->set_server(server(8 * kMs))), "none");
}

}  // namespace
}  // namespace guest::graph
