// Schedules made by hand from docs/scheduler.md. Timelines are written as
//   3-7 s1 (c=4 d=13)   server 1 runs from 3 to 7; what it has at 3
#include "reference.hpp"

#include <gtest/gtest.h>

namespace guest::sched::testing {
namespace {

using Finishes = std::vector<std::vector<std::int64_t>>;
using Slices = std::vector<Slice>;
using Throttles = std::vector<std::uint64_t>;

constexpr ServerSpec kImplicit{.budget = 4, .period = 10, .deadline = 10};
constexpr ServerSpec kConstrained{.budget = 4, .period = 12, .deadline = 8};

Schedule run_alone(const ServerSpec& spec, std::vector<Job> jobs, std::int64_t horizon) {
  return run_reference({{spec}, {std::move(jobs)}, horizon});
}

// 0-1 s0 (c=4 d=20), 1-3 s1 (c=2 d=8+1: earlier), 3-6 s0, idle.
TEST(ReferenceTest, earlier_deadline_preempts) {
  const Schedule schedule =
      run_reference({{{5, 20, 20}, {3, 8, 8}}, {{{.release = 0, .demand = 4}}, {{.release = 1, .demand = 2}}}, 8});
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 1}, {1, 1, 3}, {0, 3, 6}, {kIdle, 6, 8}}));
  EXPECT_EQ(schedule.finishes, (Finishes{{6}, {3}}));
  EXPECT_EQ(schedule.throttles, (Throttles{0, 0}));
}

// As above, but s1 has d=21 and waits: 0-4 s0 (d=20), 4-6 s1.
TEST(ReferenceTest, later_deadline_does_not_preempt) {
  const Schedule schedule =
      run_reference({{{5, 20, 20}, {3, 20, 20}}, {{{.release = 0, .demand = 4}}, {{.release = 1, .demand = 2}}}, 8});
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 4}, {1, 4, 6}, {kIdle, 6, 8}}));
}

// 0-2 s1 (d=10); at 2 s0 gets d=2+8, the same, and goes first: 2-4 s0, 4-6 s1. s2 has d=10 from the start.
TEST(ReferenceTest, lowest_id_goes_first_and_preempts_at_equal_deadlines) {
  const Schedule schedule =
      run_reference({{{3, 8, 8}, {5, 10, 10}, {1, 10, 10}},
                     {{{.release = 2, .demand = 2}}, {{.release = 0, .demand = 4}}, {{.release = 0, .demand = 1}}},
                     8});
  EXPECT_EQ(schedule.slices, (Slices{{1, 0, 2}, {0, 2, 4}, {1, 4, 6}, {2, 6, 7}, {kIdle, 7, 8}}));
}

// 0-2 (c=2 d=5), throttled at 2 until 5-5+5; 5-7 (c=2 d=10), throttled until 10; 10-11 (c=2 d=15), the job's end.
TEST(ReferenceTest, hard_server_is_throttled_until_its_next_period) {
  const Schedule schedule = run_alone({2, 5, 5}, {{.release = 0, .demand = 5}}, 14);
  EXPECT_EQ(schedule.slices,
            (Slices{{0, 0, 2}, {kIdle, 2, 5}, {0, 5, 7}, {kIdle, 7, 10}, {0, 10, 11}, {kIdle, 11, 14}}));
  EXPECT_EQ(schedule.finishes, (Finishes{{11}}));
  EXPECT_EQ(schedule.throttles, (Throttles{2}));
}

// D < P: 0-4 (c=4 d=8), throttled until 8-8+12; 12-14 (c=4 d=20).
TEST(ReferenceTest, constrained_server_is_throttled_until_its_period_not_its_deadline) {
  const Schedule schedule = run_alone(kConstrained, {{.release = 0, .demand = 6}}, 20);
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 4}, {kIdle, 4, 12}, {0, 12, 14}, {kIdle, 14, 20}}));
}

// An overload: both have c=3 d=5. 0-3 s0, throttled until 5; 3-5 s1; at 5 s0 is replenished (d=10), s1 (c=1 d=5) goes
// on to 6. Its next period came at 5: it is throttled and replenished at once (c=3 d=10), and s0 runs.
TEST(ReferenceTest, server_that_is_late_is_replenished_at_once) {
  const Schedule schedule =
      run_reference({{{3, 5, 5}, {3, 5, 5}}, {{{.release = 0, .demand = 9}}, {{.release = 0, .demand = 9}}}, 10});
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 3}, {1, 3, 6}, {0, 6, 9}, {1, 9, 10}}));
  EXPECT_EQ(schedule.throttles, (Throttles{2, 1}));
}

// 0-2 s0 (c=2 d=5), then at once c=2 d=10. 2-5 s1 (c=3 d=6), throttled, its job ended. 5-7 s0, then c=2 d=15;
// 7-9 s0, its job's end.
TEST(ReferenceTest, soft_server_postpones_its_deadline) {
  const Schedule schedule = run_reference({{{.budget = 2, .period = 5, .deadline = 5, .soft = true}, {3, 6, 6}},
                                           {{{.release = 0, .demand = 6}}, {{.release = 0, .demand = 3}}},
                                           10});
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 2}, {1, 2, 5}, {0, 5, 9}, {kIdle, 9, 10}}));
  EXPECT_EQ(schedule.finishes, (Finishes{{9}, {5}}));
  EXPECT_EQ(schedule.throttles, (Throttles{0, 1}));
}

// A soft server is replenished though its job ended with its budget: 0-2 s0 (c=2 d=5), then c=2 d=10. At 3 it wakes:
// 2*5 > (10-3)*2 is false, d stays. s1 wakes at 3 too, with d=3+6, and goes first.
TEST(ReferenceTest, soft_server_is_replenished_at_the_end_of_its_work) {
  const Schedule schedule =
      run_reference({{{.budget = 2, .period = 5, .deadline = 5, .soft = true}, {3, 6, 6}},
                     {{{.release = 0, .demand = 2}, {.release = 3, .demand = 1}}, {{.release = 3, .demand = 1}}},
                     8});
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 2}, {kIdle, 2, 3}, {1, 3, 4}, {0, 4, 5}, {kIdle, 5, 8}}));
}

// 0-1 (c=4 d=10). At 2: 3*10 > (10-2)*4 is false. 2-5 (c=3 d=10), throttled until 10; 10-11.
TEST(ReferenceTest, wake_up_keeps_budget_that_fits_the_time_left) {
  const Schedule schedule = run_alone(kImplicit, {{.release = 0, .demand = 1}, {.release = 2, .demand = 4}}, 12);
  EXPECT_EQ(schedule.slices,
            (Slices{{0, 0, 1}, {kIdle, 1, 2}, {0, 2, 5}, {kIdle, 5, 10}, {0, 10, 11}, {kIdle, 11, 12}}));
}

// Equal is not more: Q=3 P=9, 0-1 (c=3 d=9). At 3: 2*9 > (9-3)*3 is false. 3-5 (c=2), throttled until 9; 9-10.
TEST(ReferenceTest, wake_up_keeps_budget_that_fits_exactly) {
  const Schedule schedule = run_alone({3, 9, 9}, {{.release = 0, .demand = 1}, {.release = 3, .demand = 3}}, 11);
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 1}, {kIdle, 1, 3}, {0, 3, 5}, {kIdle, 5, 9}, {0, 9, 10}, {kIdle, 10, 11}}));
}

// 0-1 (c=4 d=10). At 3: 3*10 > (10-3)*4. 3-7 (c=4 d=13), throttled until 13; 13-14.
TEST(ReferenceTest, wake_up_gives_an_implicit_server_a_new_deadline) {
  const Schedule schedule = run_alone(kImplicit, {{.release = 0, .demand = 1}, {.release = 3, .demand = 5}}, 15);
  EXPECT_EQ(schedule.slices,
            (Slices{{0, 0, 1}, {kIdle, 1, 3}, {0, 3, 7}, {kIdle, 7, 13}, {0, 13, 14}, {kIdle, 14, 15}}));
}

// The deadline has passed exactly: at 10 d=20 c=4, not c=3. 10-14, throttled until 20; 20-21.
TEST(ReferenceTest, wake_up_at_the_deadline_is_a_new_period) {
  const Schedule schedule = run_alone(kImplicit, {{.release = 0, .demand = 1}, {.release = 10, .demand = 5}}, 22);
  EXPECT_EQ(schedule.finishes, (Finishes{{1, 21}}));
  EXPECT_EQ(schedule.throttles, (Throttles{1}));
}

// 0-1 (c=4 d=8). At 3: 3*8 > (8-3)*4, c = 20/8 = 2. 3-5 (c=2 d=8), throttled until 12; 12-13 (c=4 d=20).
TEST(ReferenceTest, revised_rule_rounds_down) {
  const Schedule schedule = run_alone(kConstrained, {{.release = 0, .demand = 1}, {.release = 3, .demand = 3}}, 14);
  EXPECT_EQ(schedule.slices,
            (Slices{{0, 0, 1}, {kIdle, 1, 3}, {0, 3, 5}, {kIdle, 5, 12}, {0, 12, 13}, {kIdle, 13, 14}}));
  EXPECT_EQ(schedule.throttles, (Throttles{1}));
}

// At 7: c = (8-7)*4/8 = 0: throttled until 12. 12-16 (c=4 d=20), throttled until 24; 24-25.
TEST(ReferenceTest, revised_rule_that_leaves_nothing_throttles) {
  const Schedule schedule = run_alone(kConstrained, {{.release = 0, .demand = 1}, {.release = 7, .demand = 5}}, 26);
  EXPECT_EQ(schedule.slices,
            (Slices{{0, 0, 1}, {kIdle, 1, 12}, {0, 12, 16}, {kIdle, 16, 24}, {0, 24, 25}, {kIdle, 25, 26}}));
  EXPECT_EQ(schedule.throttles, (Throttles{2}));
}

// 0-1 (c=4 d=8). At 8, as at 9, the deadline has passed: throttled until 12 with c=0, so that 12 gives c=4 and not 7:
// 12-16, throttled until 24; 24-25.
TEST(ReferenceTest, wake_up_between_deadline_and_next_period_throttles) {
  for (const std::int64_t release : {8, 9, 11}) {
    const Schedule schedule = run_alone(kConstrained, {{0, 1}, {release, 5}}, 26);
    EXPECT_EQ(schedule.slices,
              (Slices{{0, 0, 1}, {kIdle, 1, 12}, {0, 12, 16}, {kIdle, 16, 24}, {0, 24, 25}, {kIdle, 25, 26}}));
    EXPECT_EQ(schedule.throttles, (Throttles{2}));
  }
}

// At 12 the next period has come: c=4 d=20 at once. 12-16, throttled until 24, at 16; 24-25.
TEST(ReferenceTest, wake_up_at_the_next_period_of_a_constrained_server_is_a_new_one) {
  const Schedule schedule = run_alone(kConstrained, {{.release = 0, .demand = 1}, {.release = 12, .demand = 5}}, 26);
  EXPECT_EQ(schedule.finishes, (Finishes{{1, 25}}));
  EXPECT_EQ(schedule.throttles, (Throttles{1}));
}

// 0-2 (c=2 d=5): the job's end and c=0. Throttled until 5, whatever comes at 3; 5-6 (c=2 d=10).
TEST(ReferenceTest, job_that_ends_with_the_budget_is_finished_and_its_server_throttled) {
  const Schedule schedule = run_alone({2, 5, 5}, {{.release = 0, .demand = 2}, {.release = 3, .demand = 1}}, 8);
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 2}, {kIdle, 2, 5}, {0, 5, 6}, {kIdle, 6, 8}}));
  EXPECT_EQ(schedule.finishes, (Finishes{{2, 6}}));
  EXPECT_EQ(schedule.throttles, (Throttles{1}));
}

// 0-4 (c=4 d=8), throttled until 12. What comes at 9, after the deadline, does not throttle it once more. 12-13.
TEST(ReferenceTest, wake_up_of_a_throttled_server_changes_nothing) {
  const Schedule schedule = run_alone(kConstrained, {{.release = 0, .demand = 4}, {.release = 9, .demand = 1}}, 14);
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 4}, {kIdle, 4, 12}, {0, 12, 13}, {kIdle, 13, 14}}));
  EXPECT_EQ(schedule.throttles, (Throttles{1}));
}

// 0-4 (c=4 d=8), throttled until 12 without work. At 12, as at 14, c=4 and d=12+8: 12-16, throttled until 24.
TEST(ReferenceTest, throttled_server_starts_anew_when_it_gets_work_in_its_next_period) {
  for (const std::int64_t release : {12, 14}) {
    const Schedule schedule = run_alone(kConstrained, {{.release = 0, .demand = 4}, {release, 5}}, 28);
    EXPECT_EQ(schedule.slices, (Slices{{0, 0, 4},
                                       {kIdle, 4, release},
                                       {0, release, release + 4},
                                       {kIdle, release + 4, release + 12},
                                       {0, release + 12, release + 13},
                                       {kIdle, release + 13, 28}}));
  }
}

// 0-1 and 1-3 without a wake-up between: c=4, 3, 1. 3-4, throttled until 10; 10-11.
TEST(ReferenceTest, jobs_that_wait_do_not_wake_their_server_up) {
  const Schedule schedule =
      run_alone(kImplicit, {{.release = 0, .demand = 1}, {.release = 0, .demand = 2}, {.release = 2, .demand = 2}}, 12);
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 4}, {kIdle, 4, 10}, {0, 10, 11}, {kIdle, 11, 12}}));
  EXPECT_EQ(schedule.finishes, (Finishes{{1, 3, 11}}));
}

// 0-4 s0 (c=4 d=5), throttled. 4-5 s1 (c=4 d=10). A wake-up at 5 would find 3*10 > (10-5)*4 and give c=4 d=15; without
// one 5-8 s1 (c=3 d=10), throttled until 10; 10-11 s1.
TEST(ReferenceTest, release_at_the_end_of_the_last_job_is_no_wake_up) {
  const Schedule schedule = run_reference(
      {{{4, 5, 5}, kImplicit}, {{{0, 4}}, {{.release = 0, .demand = 1}, {.release = 5, .demand = 4}}}, 12});
  EXPECT_EQ(schedule.slices, (Slices{{0, 0, 4}, {1, 4, 8}, {kIdle, 8, 10}, {1, 10, 11}, {kIdle, 11, 12}}));
}

// A nanosecond costs 0.2, of the bound 0.7 0.3 more. It stops when less than 1 is left of c=200.
TEST(ReferenceTest, server_that_reclaims_alone_has_the_cpu_but_for_what_is_beyond_the_bound) {
  Workload workload{{{.budget = 200, .period = 1000, .deadline = 1000, .reclaim = true}}, {{{0, 5000}}}, 1000};
  EXPECT_EQ(run_reference(workload).slices, (Slices{{0, 0, 996}, {kIdle, 996, 1000}}));
  workload.bound_ppm = 700'000;
  EXPECT_EQ(run_reference(workload).slices, (Slices{{0, 0, 399}, {kIdle, 399, 1000}}));
}

// 0-100 s1 (d=500), which leaves c=150: active until 500-300. 100-200 s0 at 0.7, then at 0.2, until less than 1 is left
// of 130.
TEST(ReferenceTest, server_that_reclaims_has_what_another_leaves) {
  const Workload workload{{{.budget = 200, .period = 1000, .deadline = 1000, .reclaim = true}, {250, 500, 500}},
                          {{{0, 900}}, {{0, 100}}},
                          1000};
  EXPECT_EQ(run_reference(workload).slices, (Slices{{1, 0, 100}, {0, 100, 846}, {kIdle, 846, 1000}}));
}

// D < P: 0-20 s1 (d=400), which leaves c=80: active until 400-320. 20-80 s0 at 0.2+0.25, then at 0.2.
TEST(ReferenceTest, density_of_a_constrained_server_is_left_to_others) {
  const Workload workload{{{.budget = 200, .period = 1000, .deadline = 1000, .reclaim = true}, {100, 1000, 400}},
                          {{{0, 990}}, {{0, 20}}},
                          1000};
  EXPECT_EQ(run_reference(workload).slices, (Slices{{1, 0, 20}, {0, 20, 941}, {kIdle, 941, 1000}}));
}

// 0-100 s1 (c=100), throttled with work: active. 100-543 s0 at 0.45.
TEST(ReferenceTest, throttled_server_with_work_leaves_nothing) {
  const Workload workload{{{.budget = 200, .period = 1000, .deadline = 1000, .reclaim = true}, {100, 1000, 400}},
                          {{{0, 900}}, {{0, 150}}},
                          999};
  EXPECT_EQ(run_reference(workload).slices, (Slices{{1, 0, 100}, {0, 100, 543}, {kIdle, 543, 999}}));
}

TEST(ReferenceTest, nothing_happens_at_the_horizon) {
  const Schedule cut = run_alone({2, 5, 5}, {{.release = 0, .demand = 2}}, 2);
  EXPECT_EQ(cut, (Schedule{{{0, 0, 2}}, {{kUnfinished}}, {0}}));
  const Schedule whole = run_alone({2, 5, 5}, {{.release = 0, .demand = 2}}, 3);
  EXPECT_EQ(whole, (Schedule{{{0, 0, 2}, {kIdle, 2, 3}}, {{2}}, {1}}));
}

TEST(ReferenceTest, nobody_runs_without_work) {
  EXPECT_EQ(run_reference({{}, {}, 5}), (Schedule{{{kIdle, 0, 5}}, {}, {}}));
  EXPECT_EQ(run_alone(kImplicit, {}, 5), (Schedule{{{kIdle, 0, 5}}, {{}}, {0}}));
  EXPECT_EQ(run_alone(kImplicit, {{.release = 5, .demand = 1}}, 5), (Schedule{{{kIdle, 0, 5}}, {{kUnfinished}}, {0}}));
}

}  // namespace
}  // namespace guest::sched::testing
