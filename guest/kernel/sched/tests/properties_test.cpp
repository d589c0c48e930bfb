#include "properties.hpp"

#include <gtest/gtest.h>

#include "reference.hpp"
#include "task_sets.hpp"

namespace guest::sched::testing {
namespace {

constexpr std::uint64_t kRandomWorkloads = 300;
constexpr std::uint64_t kFewerWorkloads = 100;

// One honest server, Q=2 P=D=5, that runs as soon as it can; the best-effort threads have the rest.
Workload one_server() { return {{{2, 5, 5}}, {{{.release = 0, .demand = 2}, {.release = 6, .demand = 2}}}, 15}; }
Schedule right_schedule() { return {{{0, 0, 2}, {kIdle, 2, 6}, {0, 6, 8}, {kIdle, 8, 15}}, {{2, 8}}, {2}}; }

TEST(PropertiesTest, right_schedule_has_no_fault) {
  const Workload workload = one_server();
  EXPECT_EQ(run_reference(workload), right_schedule());
  EXPECT_EQ(honest_servers_miss_nothing(workload, right_schedule()), "");
  EXPECT_EQ(hard_servers_are_bounded(workload, right_schedule()), "");
  EXPECT_EQ(work_is_conserved(workload, right_schedule()), "");
  EXPECT_EQ(unaffected_by(workload, right_schedule(), workload, right_schedule(), {0}), "");
}

TEST(PropertiesTest, honest_is_who_asks_for_no_more_than_promised) {
  const auto honest = [](std::int64_t deadline, std::vector<Job> jobs) {
    return is_honest({{{2, 5, deadline}}, {std::move(jobs)}, 20}, 0);
  };
  EXPECT_TRUE(honest(5, {{0, 2}, {5, 2}, {11, 1}}));
  EXPECT_FALSE(honest(5, {{0, 3}}));
  EXPECT_FALSE(honest(5, {{0, 1}, {4, 1}}));
  EXPECT_TRUE(honest(4, {{0, 2}, {5, 1}, {11, 2}}));
  EXPECT_TRUE(honest(4, {{0, 2}, {6, 2}}));
}

TEST(PropertiesTest, late_job_is_found) {
  Schedule late{{{kIdle, 0, 4}, {0, 4, 6}, {kIdle, 6, 7}, {0, 7, 9}, {kIdle, 9, 15}}, {{6, 9}}, {2}};
  EXPECT_EQ(honest_servers_miss_nothing(one_server(), late), "server 0, job 0: due at 5, finished at 6");
  late.finishes = {{5, kUnfinished}};
  EXPECT_EQ(honest_servers_miss_nothing(one_server(), late), "server 0, job 1: due at 11, unfinished");
}

TEST(PropertiesTest, job_due_at_the_horizon_may_be_unfinished) {
  Workload workload = one_server();
  workload.horizon = 11;
  EXPECT_EQ(honest_servers_miss_nothing(workload, {{}, {{2, kUnfinished}}, {}}), "");
}

// 5 from 4 on. At most 3 * 2 - 2*2*2/5, which is 4.4, in 5; for D < P at most 4. The window from 0 on is none too many.
TEST(PropertiesTest, overfull_window_is_found) {
  Workload workload{{{2, 5, 5}}, {{{.release = 0, .demand = 6}}}, 10};
  const Schedule greedy{{{0, 0, 1}, {kIdle, 1, 4}, {0, 4, 9}, {kIdle, 9, 10}}, {{9}}, {0}};
  EXPECT_EQ(hard_servers_are_bounded(workload, greedy), "server 0 gets 5 in [4, 9), 1 periods");
  workload.servers[0].deadline = 4;
  EXPECT_EQ(hard_servers_are_bounded(workload, greedy), "server 0 gets 5 in [4, 9), 1 periods");
  workload.servers[0].soft = true;
  EXPECT_EQ(hard_servers_are_bounded(workload, greedy), "");
  workload.servers[0] = {.budget = 2, .period = 5, .deadline = 4, .reclaim = true};
  EXPECT_EQ(hard_servers_are_bounded(workload, greedy), "");
}

// Why the bound for D = P is not (k + 1) * Q. 0-80 s1 (d=90). 80-90 s0 (c=10 d=100), throttled until 100, just before
// its deadline. 100-106 s0 (c=10 d=200), its job's end. At 170: 4*100 > (200-170)*10, so c=10 d=270: 170-180.
TEST(PropertiesTest, hard_implicit_server_can_have_more_than_two_budgets_in_a_period) {
  const Workload workload{
      {{10, 100, 100}, {80, 90, 90}}, {{{.release = 0, .demand = 16}, {.release = 170, .demand = 10}}, {{0, 80}}}, 200};
  const Schedule schedule = run_reference(workload);
  EXPECT_EQ(schedule.slices, (std::vector<Slice>{{1, 0, 80},
                                                 {0, 80, 90},
                                                 {kIdle, 90, 100},
                                                 {0, 100, 106},
                                                 {kIdle, 106, 170},
                                                 {0, 170, 180},
                                                 {kIdle, 180, 200}}));
  EXPECT_EQ(hard_servers_are_bounded(workload, schedule), "");
}

TEST(PropertiesTest, slices_that_do_not_cover_the_time_are_found) {
  const auto fault = [](std::vector<Slice> slices) {
    return work_is_conserved(one_server(), {std::move(slices), right_schedule().finishes, {2}});
  };
  EXPECT_EQ(fault({{0, 0, 2}, {kIdle, 3, 15}}), "gap or overlap at 2: server -1 in [3, 15)");
  EXPECT_EQ(fault({{0, 0, 2}, {kIdle, 1, 15}}), "gap or overlap at 2: server -1 in [1, 15)");
  EXPECT_EQ(fault({{0, 0, 2}, {kIdle, 2, 2}}), "empty: server -1 in [2, 2)");
  EXPECT_EQ(fault({{0, 0, 1}, {0, 1, 2}}), "not merged: server 0 in [1, 2)");
  EXPECT_EQ(fault({{1, 0, 2}}), "nobody has this id: server 1 in [0, 2)");
  EXPECT_EQ(fault({{0, 0, 2}, {kIdle, 2, 14}}), "the slices end at 14");
}

TEST(PropertiesTest, work_that_does_not_fit_the_jobs_is_found) {
  const auto fault = [](std::vector<Slice> slices, std::vector<std::int64_t> finishes) {
    return work_is_conserved(one_server(), {std::move(slices), {std::move(finishes)}, {2}});
  };
  EXPECT_EQ(fault({{0, 0, 2}, {kIdle, 2, 6}, {0, 6, 9}, {kIdle, 9, 15}}, {2, 8}), "no work at 8: server 0 in [6, 9)");
  EXPECT_EQ(fault({{0, 0, 4}, {kIdle, 4, 15}}, {2, 4}), "server 0, job 1: not released at 2");
  EXPECT_EQ(fault({{0, 0, 1}, {kIdle, 1, 6}, {0, 6, 8}, {kIdle, 8, 15}}, {7, 8}),
            "server 0, job 1: finished at 8, but is unfinished");
  EXPECT_EQ(fault(right_schedule().slices, {2, kUnfinished}), "server 0, job 1: unfinished, but is finished at 8");
  EXPECT_EQ(fault(right_schedule().slices, {2, 8, 9}), "server 0: finishes of another number of jobs");
}

// 6 of 20 are beyond the bound, less a budget of 2.
TEST(PropertiesTest, best_effort_without_its_share_is_found) {
  const Workload workload{.servers = {{.budget = 2, .period = 5, .deadline = 5, .reclaim = true}},
                          .jobs = {{{.release = 0, .demand = 20}}},
                          .horizon = 20'000'000,
                          .bound_ppm = 700'000};
  const Schedule just{{{0, 0, 14'000'002}, {kIdle, 14'000'002, 20'000'000}}, {{kUnfinished}}, {0}};
  EXPECT_EQ(best_effort_has_its_share(workload, just), "");
  const Schedule more{{{0, 0, 14'000'003}, {kIdle, 14'000'003, 20'000'000}}, {{kUnfinished}}, {0}};
  EXPECT_EQ(best_effort_has_its_share(workload, more), "servers leave 5999997, wanted: 5999998");
}

TEST(PropertiesTest, server_affected_by_another_is_found) {
  const Workload alone = one_server();
  const Workload crowded = with_greedy(alone, {3, 5, 5});
  const Schedule good = run_reference(crowded);
  EXPECT_EQ(unaffected_by(alone, right_schedule(), crowded, good, {0}), "");

  Schedule bad = good;
  bad.finishes[0][0] = 6;
  EXPECT_EQ(unaffected_by(alone, right_schedule(), crowded, bad, {0}),
            "server 0, job 0: due at 5, finished at 6 (of workload b)");
  EXPECT_EQ(unaffected_by(crowded, bad, alone, right_schedule(), {0}),
            "server 0, job 0: due at 5, finished at 6 (of workload a)");

  Workload other = crowded;
  other.jobs[0][0].demand = 1;
  EXPECT_EQ(unaffected_by(alone, right_schedule(), other, good, {0}), "server 0 is not the same in both");
}

TEST(RandomWorkloadTest, reference_keeps_all_promises) {
  for (std::uint64_t seed = 0; seed < kRandomWorkloads; ++seed) {
    const Workload workload = random_workload(seed, random_mix(seed));
    const Schedule schedule = run_reference(workload);
    ASSERT_EQ(honest_servers_miss_nothing(workload, schedule), "") << "seed " << seed;
    ASSERT_EQ(hard_servers_are_bounded(workload, schedule), "") << "seed " << seed;
    ASSERT_EQ(best_effort_has_its_share(workload, schedule), "") << "seed " << seed;
    ASSERT_EQ(work_is_conserved(workload, schedule), "") << "seed " << seed;
  }
}

TEST(RandomWorkloadTest, overload_still_conserves_work) {
  for (std::uint64_t seed = 0; seed < kFewerWorkloads; ++seed) {
    Mix mix = random_mix(seed);
    mix.density_ppm = 2 * kWhole;
    for (ServerKind& kind : mix.servers) kind.reclaim = false;  // of what is promised twice nothing is left
    const Workload workload = random_workload(seed, mix);
    ASSERT_EQ(work_is_conserved(workload, run_reference(workload)), "") << "seed " << seed;
  }
}

// The greedy server takes all the density that is left, for deadlines shorter and longer than the others'.
TEST(RandomWorkloadTest, greedy_server_affects_no_honest_one) {
  for (std::uint64_t seed = 0; seed < kFewerWorkloads; ++seed) {
    Mix mix = random_mix(seed);
    mix.density_ppm = 700'000;
    mix.bound_ppm = kWhole;
    const Workload alone = random_workload(seed, mix);
    std::vector<std::size_t> honest;
    for (std::size_t i = 0; i < alone.servers.size(); ++i) {
      if (is_honest(alone, i)) honest.push_back(i);
    }
    const std::int64_t period = seed % 2 == 0 ? 3'000'000 : 100'000'000;
    const Workload crowded = with_greedy(alone, {.budget = period / 10 * 3,
                                                 .period = period,
                                                 .deadline = period,
                                                 .soft = seed / 2 % 2 == 0,
                                                 .reclaim = seed / 4 % 2 == 0});
    ASSERT_EQ(unaffected_by(alone, run_reference(alone), crowded, run_reference(crowded), honest), "")
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace guest::sched::testing
