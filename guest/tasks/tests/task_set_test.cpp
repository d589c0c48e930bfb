#include "guest/tasks/task_set.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>
#include <string_view>

#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::tasks {
namespace {

constexpr sched::Time kMs = 1'000'000;

class TaskSetTest : public ::testing::Test {
 protected:
  TaskSetTest() { threads::start_cpus(); }
  ~TaskSetTest() override {
    if (set.state() == SetState::On) {
      do_in_thread([&] { EXPECT_EQ(set.stop(), kernel::Status::Ok); });
    }
    threads::run_until_idle();
    EXPECT_EQ(set.state(), SetState::Off);
    EXPECT_EQ(threads::find_dispatcher(0)->scheduler().admitted(), 0U);
    EXPECT_EQ(threads::find_dispatcher(1)->scheduler().admitted(), 0U);
    EXPECT_FALSE(threads::next_thread(0));
  }

  /// Runs `body` in a thread of CPU 0, and what it sets going until `until`.
  static void do_in_thread(const std::function<void()>& body) { threads::start("test", body); }

  Server& server(std::string_view name, sched::Time budget, sched::Time period, std::optional<std::uint32_t> cpu = 0) {
    const auto added = set.add_server(
        {.name = name, .parameters = {.budget = budget, .period = period, .deadline = period}, .cpu = cpu});
    EXPECT_TRUE(added.has_value());
    return **added;
  }
  void periodic(std::string_view name, Server* of, sched::Time work, sched::Time period, std::uint64_t jobs) {
    EXPECT_TRUE(set.add_task({.name = name,
                              .server = of,
                              .load = PeriodicLoad{.period = period, .work = work, .deadline = period, .jobs = jobs}})
                    .has_value());
  }
  void greedy(std::string_view name, Server* of, sched::Time length) {
    EXPECT_TRUE(set.add_task({.name = name, .server = of, .load = GreedyLoad{.length = length}}).has_value());
  }

  /// Sets keep what was declared; this keeps the sets.
  static std::deque<TaskSet>& sets() {
    static auto* const all = new std::deque<TaskSet>;
    return *all;
  }
  TaskSet& set = sets().emplace_back();
};

TEST_F(TaskSetTest, honest_tasks_beside_a_greedy_one_miss_nothing) {
  Server& a = server("a", 2 * kMs, 10 * kMs);
  Server& b = server("b", 5 * kMs, 20 * kMs);
  Server& hog = server("hog", 3 * kMs, 10 * kMs);
  periodic("a", &a, 1'900'000, 10 * kMs, 20);
  periodic("b", &b, 4'900'000, 20 * kMs, 10);
  greedy("hog", &hog, 200 * kMs);
  greedy("best effort", nullptr, 200 * kMs);
  do_in_thread([&] { EXPECT_TRUE(set.start().has_value()); });
  threads::run_until_idle();
  EXPECT_EQ(a.statistics().response.count(), 20U);
  EXPECT_EQ(b.statistics().response.count(), 10U);
  EXPECT_EQ(a.statistics().misses, 0U);
  EXPECT_EQ(b.statistics().misses, 0U);
  EXPECT_EQ(a.statistics().overruns, 0U);
  const ServerState state = TaskSet::state_of(hog);
  EXPECT_NEAR(static_cast<double>(state.counters.ran), 60e6, 6e6);  // 3 in 10, of 200
  EXPECT_GE(state.counters.throttles, 19U);
  EXPECT_LE(state.counters.max_overrun, 0);
  EXPECT_EQ(a.cpu(), 0U);
}

TEST_F(TaskSetTest, one_that_overruns_is_late_itself_and_nobody_else_is) {
  Server& honest = server("honest", 2 * kMs, 10 * kMs);
  Server& liar = server("liar", 2 * kMs, 10 * kMs);
  periodic("honest", &honest, 1'900'000, 10 * kMs, 20);
  periodic("liar", &liar, 5 * kMs, 10 * kMs, 20);
  do_in_thread([&] { EXPECT_TRUE(set.start().has_value()); });
  threads::run_until_idle();
  EXPECT_EQ(honest.statistics().misses, 0U);
  EXPECT_EQ(liar.statistics().overruns, 20U);
  EXPECT_EQ(liar.statistics().misses, 20U);
  EXPECT_EQ(set.first_task()->name(), "honest");
  EXPECT_EQ(&set.first_task()->statistics(), &honest.statistics());
}

TEST_F(TaskSetTest, servers_go_to_the_first_cpu_that_they_fit_on) {
  Server& first = server("first", 6 * kMs, 10 * kMs, {});
  Server& second = server("second", 6 * kMs, 10 * kMs, {});
  do_in_thread([&] { EXPECT_TRUE(set.start().has_value()); });
  threads::run_until_idle();
  EXPECT_EQ(first.cpu(), 0U);
  EXPECT_EQ(second.cpu(), 1U);
}

TEST_F(TaskSetTest, a_set_that_does_not_fit_is_refused_whole_with_the_arithmetic) {
  server("first", 6 * kMs, 10 * kMs);
  Server& second = server("second", 3 * kMs, 10 * kMs);
  do_in_thread([&] {
    const auto started = set.start();
    ASSERT_FALSE(started.has_value());
    EXPECT_EQ(started.error().server, &second);
    const sched::Placement& placement = *started.error().refusal.placement;
    EXPECT_EQ(placement.admission.verdict, sched::Verdict::TooMuch);
    EXPECT_EQ(placement.admission.density, 300'000U);
    EXPECT_EQ(placement.admission.admitted, 600'000U);
    EXPECT_EQ(placement.admission.bound, 850'000U);
  });
  threads::run_until_idle();
  EXPECT_EQ(set.state(), SetState::Off);
}

TEST_F(TaskSetTest, one_that_is_on_takes_more_servers_if_they_fit) {
  server("first", 6 * kMs, 10 * kMs);
  do_in_thread([&] { EXPECT_TRUE(set.start().has_value()); });
  threads::run_until_idle();
  const auto refused = set.add_server(
      {.name = "big", .parameters = {.budget = 3 * kMs, .period = 10 * kMs, .deadline = 10 * kMs}, .cpu = 0});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().placement->admission.admitted, 600'000U);
  EXPECT_EQ(set.find_server("big"), nullptr);
  EXPECT_EQ(server("small", 1 * kMs, 10 * kMs).cpu(), 0U);
  EXPECT_EQ(set.remove_server("small"), kernel::Status::Ok);
  EXPECT_EQ(threads::find_dispatcher(0)->scheduler().admitted(), 600'000U);
  EXPECT_EQ(set.remove_server("small"), kernel::Status::NotFound);
}

TEST_F(TaskSetTest, stops_when_its_last_task_has_gone_and_starts_again) {
  Server& of = server("server", 2 * kMs, 10 * kMs);
  greedy("for ever", &of, 0);
  do_in_thread([&] {
    EXPECT_TRUE(set.start().has_value());
    EXPECT_EQ(set.state(), SetState::On);
    EXPECT_NE(set.first_task()->thread_id(), 0U);
    EXPECT_TRUE(threads::sleep_for(100 * kMs));
    EXPECT_EQ(set.stop(), kernel::Status::Ok);
    EXPECT_EQ(set.state(), SetState::Stopping);
    EXPECT_EQ(set.stop(), kernel::Status::Busy);
    EXPECT_EQ(set.start().error().refusal.status, kernel::Status::Busy);
  });
  threads::run_until_idle();
  EXPECT_EQ(set.state(), SetState::Off);
  EXPECT_EQ(set.first_task()->thread_id(), 0U);
  do_in_thread([&] {
    EXPECT_TRUE(set.start().has_value());
    EXPECT_EQ(set.stop(), kernel::Status::Ok);
  });
  threads::run_until_idle();
}

TEST_F(TaskSetTest, a_job_that_is_stopped_is_not_measured) {
  periodic("jobs", nullptr, 30 * kMs, 40 * kMs, 0);
  do_in_thread([&] {
    EXPECT_TRUE(set.start().has_value());
    EXPECT_TRUE(threads::sleep_for(50 * kMs));  // the second has begun, and goes on to the end of its turn
    EXPECT_EQ(set.stop(), kernel::Status::Ok);
  });
  threads::run_until_idle();
  EXPECT_EQ(set.first_task()->statistics().response.count(), 1U);
}

/// Programs that work for a while and are done; one of which the file is empty cannot be loaded.
class FakeLoader final : public process::ProgramLoader {
 public:
  std::expected<std::unique_ptr<process::Program>, kernel::NamedError> load(const process::ProgramSpec& spec) override {
    if (spec.file.empty()) {
      return kernel::fail("elf-truncated", "{} bytes", spec.file.size());
    }
    return std::make_unique<FakeProgram>(*this);
  }

  unsigned living = 0;

 private:
  class FakeProgram final : public process::Program {
   public:
    explicit FakeProgram(FakeLoader& loader) : loader_(loader) { ++loader_.living; }
    ~FakeProgram() override { --loader_.living; }
    void run() override {
      state_ = process::ProgramState::Running;
      const bool slept = threads::sleep_for(20 * kMs);
      state_ = slept ? process::ProgramState::Exited : process::ProgramState::Stopped;
    }
    [[nodiscard]] process::ProgramReport report() const override {
      return {.state = state_, .status = 7, .cause = {}, .pages = 3};
    }

   private:
    FakeLoader& loader_;
    process::ProgramState state_ = process::ProgramState::Loaded;
  };
};

class ProgramTest : public TaskSetTest {
 protected:
  ProgramTest() { set.set_loader(loader); }
  ~ProgramTest() override {
    threads::run_until_idle();
    EXPECT_EQ(loader.living, 0U);
  }
  Task& program(std::string_view name, Server* of, std::size_t bytes) {
    ProgramLoad load;
    load.file = std::span(kFile).first(bytes);
    load.max_pages = 10;
    const auto added = set.add_task({.name = name, .server = of, .load = load});
    EXPECT_TRUE(added.has_value());
    return **added;
  }

  static constexpr std::array<std::byte, 4> kFile{};
  FakeLoader loader;
};

TEST_F(ProgramTest, programs_run_and_what_became_of_them_is_kept) {
  Task& task = program("task", &server("server", 2 * kMs, 10 * kMs), 4);
  EXPECT_FALSE(task.program());
  do_in_thread([&] {
    EXPECT_TRUE(set.start().has_value());
    EXPECT_TRUE(threads::sleep_for(5 * kMs));
    EXPECT_EQ(task.program()->state, process::ProgramState::Running);
    EXPECT_TRUE(threads::sleep_for(30 * kMs));
    EXPECT_EQ(task.program()->state, process::ProgramState::Exited);
    EXPECT_EQ(task.program()->status, 7);
    EXPECT_EQ(loader.living, 0U);  // its memory is free, though the set is on
  });
  threads::run_until_idle();
}

TEST_F(ProgramTest, programs_are_stopped_with_the_set_and_start_anew_with_it) {
  Task& task = program("task", nullptr, 4);
  for (int i = 0; i < 2; ++i) {
    do_in_thread([&] {
      EXPECT_TRUE(set.start().has_value());
      EXPECT_TRUE(threads::sleep_for(5 * kMs));
      EXPECT_EQ(set.stop(), kernel::Status::Ok);
    });
    threads::run_until_idle();
    EXPECT_EQ(set.state(), SetState::Off);
    EXPECT_EQ(task.program()->state, process::ProgramState::Stopped);
  }
}

TEST_F(ProgramTest, one_that_cannot_be_loaded_keeps_the_set_off) {
  program("good", &server("server", 2 * kMs, 10 * kMs), 4);
  const Task& bad = program("bad", nullptr, 0);
  do_in_thread([&] {
    const auto started = set.start();
    ASSERT_FALSE(started.has_value());
    EXPECT_EQ(started.error().task, &bad);
    EXPECT_EQ(started.error().why.name, "elf-truncated");
    EXPECT_EQ(set.state(), SetState::Off);
    EXPECT_EQ(loader.living, 0U);
  });
  threads::run_until_idle();
}

TEST_F(TaskSetTest, programs_without_a_loader_are_refused) {
  EXPECT_EQ(set.add_task({.name = "task", .load = ProgramLoad{}}).error().status, kernel::Status::Unsupported);
}

TEST_F(TaskSetTest, statistics_are_forgotten_on_request) {
  Server& of = server("server", 2 * kMs, 10 * kMs);
  periodic("in server", &of, 1 * kMs, 10 * kMs, 3);
  periodic("alone", nullptr, 1 * kMs, 10 * kMs, 3);
  do_in_thread([&] { EXPECT_TRUE(set.start().has_value()); });
  threads::run_until_idle();
  EXPECT_EQ(of.statistics().response.count(), 3U);
  const Task& alone = *TaskSet::after(*set.first_task());
  EXPECT_EQ(alone.statistics().response.count(), 3U);
  set.reset_statistics();
  EXPECT_EQ(of.statistics().response.count(), 0U);
  EXPECT_EQ(alone.statistics().response.count(), 0U);
}

TEST_F(TaskSetTest, what_makes_no_sense_is_refused) {
  const sched::ServerParameters good{.budget = 1, .period = 10, .deadline = 10};
  EXPECT_EQ(set.add_server({.name = "", .parameters = good}).error().status, kernel::Status::Invalid);
  EXPECT_EQ(set.add_server({.name = "123456789012345678901234567890123", .parameters = good}).error().status,
            kernel::Status::Invalid);
  EXPECT_EQ(set.add_server({.name = "bad", .parameters = {.budget = 11, .period = 10, .deadline = 10}}).error().status,
            kernel::Status::Invalid);
  EXPECT_EQ(set.add_server({.name = "nowhere", .parameters = good, .cpu = 7}).error().status,
            kernel::Status::OutOfRange);
  Server& of = server("twice", 1 * kMs, 10 * kMs);
  EXPECT_EQ(set.add_server({.name = "twice", .parameters = good}).error().status, kernel::Status::Exists);
  greedy("task", &of, 0);
  EXPECT_EQ(set.add_task({.name = "task", .load = GreedyLoad{}}).error().status, kernel::Status::Exists);
  EXPECT_EQ(set.add_task({.name = "nowhere", .cpu = 7, .load = GreedyLoad{}}).error().status,
            kernel::Status::OutOfRange);
  EXPECT_EQ(set.remove_server("twice"), kernel::Status::Busy);
}

}  // namespace
}  // namespace guest::tasks
