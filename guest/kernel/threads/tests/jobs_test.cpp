#include "guest/kernel/threads/jobs.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::threads {
namespace {

class JobsTest : public ::testing::Test {
 protected:
  JobsTest() { admit(server); }
  ~JobsTest() override { find_dispatcher(0)->admissions().remove(server, find_dispatcher(0)->now()); }

  /// A thread with a job for each of `works`, of a period of 10,000.
  ThreadRef start_jobs(std::vector<std::uint64_t> works) {
    return start(
        "jobs",
        [this, works = std::move(works), begin = static_cast<sched::Time>(now_ns())] {
          Jobs jobs({.first_release = begin + 1'000, .period = 10'000, .deadline = 5'000, .budget = 2'000}, statistics);
          for (const std::uint64_t ns : works) {
            if (!jobs.begin()) {
              return;
            }
            work(ns);
            EXPECT_EQ(jobs.ran(), static_cast<sched::Time>(ns));
            jobs.end();
          }
        },
        0, &server);
  }

  sched::Server server{0, {.budget = 2'000, .period = 10'000, .deadline = 10'000}};
  JobStatistics statistics;
};

TEST_F(JobsTest, each_is_released_a_period_after_the_one_before) {
  start_jobs({1'000, 1'900, 500});
  run_until_idle();
  EXPECT_EQ(statistics.response.count(), 3U);
  EXPECT_EQ(statistics.response.max(), 1'900U);
  EXPECT_EQ(statistics.response.min(), 500U);
  EXPECT_EQ(statistics.response.sum(), 1'000U + 1'900 + 500);
  EXPECT_EQ(statistics.release_jitter.max(), 0U);
  EXPECT_EQ(statistics.tardiness.count(), 3U);
  EXPECT_EQ(statistics.tardiness.max(), 0U);
  EXPECT_EQ(statistics.misses, 0U);
  EXPECT_EQ(statistics.overruns, 0U);
}

TEST_F(JobsTest, one_that_is_throttled_is_late_and_keeps_the_next_waiting) {
  start_jobs({3'000, 900});
  run_until_idle();
  // Out of budget after 2,000; goes on in the next period, in which the second one is released.
  EXPECT_EQ(statistics.overruns, 1U);
  EXPECT_EQ(statistics.misses, 1U);
  EXPECT_EQ(statistics.response.max(), 11'000U);
  EXPECT_EQ(statistics.tardiness.max(), 6'000U);
  EXPECT_EQ(statistics.release_jitter.max(), 1'000U);
}

TEST_F(JobsTest, ends_when_the_thread_is_asked_to_stop) {
  const ThreadRef jobs = start_jobs({1'000, 1'000});
  start("stops", [&] {
    EXPECT_TRUE(sleep_for(3'000));
    jobs->request_stop();
  });
  run_until_idle();
  EXPECT_EQ(statistics.response.count(), 1U);
}

}  // namespace
}  // namespace guest::threads
