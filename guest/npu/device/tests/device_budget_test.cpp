// Jobs run on the budget of their server (docs/npu-driver.md, Budgets).
#include <gtest/gtest.h>

#include "fake_npu.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/testing/job_fixture.hpp"

namespace guest::npu::testing {
namespace {

constexpr sched::ServerParameters kServer{.budget = 100'000, .period = 1'000'000, .deadline = 1'000'000};

constexpr std::uint32_t kCommandCycles = ::npu::Model{}.start_cycles;
constexpr std::uint32_t kBudgetCycles = 100'000;  ///< at 1 GHz

class DeviceBudget : public DeviceFixture {
 protected:
  DeviceBudget() { start_driver(); }
  /// A job of so many percent of a budget, whatever a command that does nothing costs by the model.
  static std::unique_ptr<Job> job_of(std::uint32_t percent) {
    const std::uint32_t commands = kBudgetCycles / 100 * percent / kCommandCycles;
    auto job = make_job(commands);
    for (std::uint32_t i = 0; i < commands; ++i) (void)job->add(nothing());
    return job;
  }
  /// What the device reports of jobs that have run whole.
  void report_cycles() {
    device.spoil_result = [this](abi::npu::JobResult& result, std::uint32_t&) {
      const auto header =
          std::ranges::find_if(device.jobs, [&](const abi::npu::JobHeader& each) { return each.id == result.id; });
      if (result.status == 0) result.cycles = std::uint64_t{kCommandCycles} * header->commands;
    };
  }
};

TEST_F(DeviceBudget, a_server_waits_when_its_budget_is_used_up) {
  report_cycles();
  static sched::Server server(31, kServer);
  threads::admit(server);
  const std::uint64_t throttled = metrics().throttled.value();
  in_thread(
      [&] {
        const std::uint64_t begin = threads::now_ns();
        const auto job = job_of(50);
        for (int i = 0; i < 4; ++i) ASSERT_TRUE(driver->run(*job));
        EXPECT_GE(threads::now_ns() - begin, 1'000'000U);
        EXPECT_LT(threads::now_ns() - begin, 1'100'000U);
      },
      &server);
  EXPECT_EQ(metrics().throttled.value() - throttled, 1U);
}

TEST_F(DeviceBudget, a_job_without_a_deadline_has_its_servers) {
  report_cycles();
  static sched::Server server(32, kServer);
  threads::admit(server);
  in_thread(
      [&] {
        const auto job = job_of(50);
        ASSERT_TRUE(driver->run(*job));
        EXPECT_EQ(device.jobs.back().deadline_ns, 1'000'000U);
        EXPECT_EQ(device.jobs.back().priority, static_cast<unsigned>(abi::npu::Priority::High));
        job->options.deadline_ns = 77;
        ASSERT_TRUE(driver->run(*job));
        EXPECT_EQ(device.jobs.back().deadline_ns, 77U);
        job->options.deadline_ns = JobOptions::kNoDeadline;
        ASSERT_TRUE(driver->run(*job));
        EXPECT_EQ(device.jobs.back().deadline_ns, 0U);
      },
      &server);
}

TEST_F(DeviceBudget, a_flood_of_one_server_leaves_another_its_budget_and_its_places) {
  report_cycles();
  device.job_ns = 10'000;
  static sched::Server flood(33, kServer);
  static sched::Server other(34, kServer);
  threads::admit(flood);
  threads::admit(other);
  std::vector<threads::ThreadRef> floods;
  std::size_t flooded = 0;
  for (int i = 0; i < 30; ++i) {
    floods.push_back(threads::start(
        "flood",
        [&] {
          const auto job = job_of(10);
          while (!threads::current_thread().stop_requested()) {
            if (driver->run(*job)) ++flooded;
          }
        },
        0, &flood));
  }
  std::uint64_t longest = 0;
  threads::start(
      "other",
      [&] {
        const auto job = job_of(10);
        for (int i = 0; i < 50; ++i) {
          const std::uint64_t before = threads::now_ns();
          ASSERT_TRUE(driver->run(*job));
          longest = std::max(longest, threads::now_ns() - before);
          threads::sleep_for(200'000);
        }
        for (const auto& thread : floods) thread->request_stop();
      },
      0, &other);
  threads::run_until_idle();
  EXPECT_LT(longest, 100'000U) << "it never waited for budget or a place";
  // 50 turns of 0.21 ms are 10.5 periods: 11 budgets of 10 jobs, and those that ended with the threads.
  EXPECT_LE(flooded, 11 * 10 + floods.size());
  EXPECT_GE(flooded, 10 * 10U);
}

TEST_F(DeviceBudget, what_an_aborted_job_did_not_use_is_given_back) {
  device.holds_jobs = true;
  static sched::Server server(35, kServer);
  threads::admit(server);
  in_thread(
      [&] {
        const auto job = job_of(80);
        const std::uint64_t begin = threads::now_ns();
        for (int i = 0; i < 10; ++i) {
          ASSERT_TRUE(driver->submit(*job));
          driver->end(*job);
        }
        EXPECT_LT(threads::now_ns() - begin, 100'000U);
      },
      &server);
}

TEST_F(DeviceBudget, a_thread_that_is_stopped_while_it_waits_gets_its_job_back) {
  report_cycles();
  static sched::Server server(36, kServer);
  threads::admit(server);
  const auto thread = threads::start(
      "waits",
      [&] {
        const auto job = job_of(90);
        ASSERT_TRUE(driver->run(*job));
        ASSERT_TRUE(driver->run(*job));
        const auto refused = driver->run(*job);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().name, "npu-busy");
        EXPECT_FALSE(job->in_flight());
      },
      0, &server);
  in_thread([&] {
    threads::sleep_for(500'000);
    thread->request_stop();
  });
  EXPECT_TRUE(thread->gone());
}

TEST_F(DeviceBudget, best_effort_threads_have_no_budget_and_no_deadline) {
  report_cycles();
  in_thread([&] {
    const std::uint64_t begin = threads::now_ns();
    const auto job = job_of(90);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(driver->run(*job));
    EXPECT_LT(threads::now_ns() - begin, 100'000U);
    EXPECT_EQ(device.jobs.back().deadline_ns, 0U);
  });
}

}  // namespace
}  // namespace guest::npu::testing
