#include "task_sets.hpp"

#include <gtest/gtest.h>

#include "properties.hpp"
#include "reference.hpp"

namespace guest::sched::testing {
namespace {

constexpr std::uint64_t kSeeds = 300;

TEST(TaskSetsTest, same_seed_gives_the_same_workload) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Workload a = random_workload(seed, random_mix(seed));
    const Workload b = random_workload(seed, random_mix(seed));
    ASSERT_EQ(a.servers, b.servers);
    ASSERT_EQ(a.jobs, b.jobs);
    ASSERT_EQ(a.horizon, b.horizon);
  }
  EXPECT_NE(random_workload(1, random_mix(1)).servers, random_workload(2, random_mix(1)).servers);
}

// Another platform, compiler or library must not change what a seed stands for.
TEST(TaskSetsTest, seed_gives_a_known_workload) {
  const Workload workload = random_workload(
      3, {.servers = {{Behaviour::kSporadic}, {Behaviour::kWild, true}}, .constrained = true, .odd_nanoseconds = true});
  EXPECT_EQ(workload.servers,
            (std::vector<ServerSpec>{{15146543, 31501461, 15371209}, {131169, 11600667, 8974355, true}}));
  EXPECT_EQ(workload.horizon, 854700854);
  EXPECT_EQ(workload.jobs[1].back(), (Job{.release = 853376407, .demand = 100383}));
}

TEST(TaskSetsTest, servers_are_within_their_ranges) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Mix mix = random_mix(seed);
    const Workload workload = random_workload(seed, mix);
    ASSERT_LE(density_ppm(workload.servers), mix.density_ppm);
    ASSERT_EQ(workload.servers.size(), mix.servers.size());
    for (const ServerSpec& spec : workload.servers) {
      ASSERT_GE(spec.budget, 999);  // 1 us, or the odd number of nanoseconds below
      ASSERT_LE(spec.budget, spec.deadline);
      ASSERT_LE(spec.deadline, spec.period);
      ASSERT_GE(spec.period, kLeastPeriod - 1);
      ASSERT_LE(spec.period, kMostPeriod);
      ASSERT_EQ(spec.period % 1000 == 0, !mix.odd_nanoseconds && spec.period % 2 == 0);
      ASSERT_TRUE(mix.constrained || spec.deadline == spec.period);
    }
  }
}

TEST(TaskSetsTest, jobs_are_those_of_their_behaviour) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Mix mix = random_mix(seed);
    const Workload workload = random_workload(seed, mix);
    for (std::size_t i = 0; i < mix.servers.size(); ++i) {
      const Behaviour behaviour = mix.servers[i].behaviour;
      const bool honest = behaviour == Behaviour::kPeriodic || behaviour == Behaviour::kSporadic;
      ASSERT_TRUE(!honest || is_honest(workload, i));
      const std::vector<Job> endless{{.release = 0, .demand = workload.horizon}};
      ASSERT_EQ(behaviour == Behaviour::kGreedy, workload.jobs[i] == endless);
      std::int64_t last = 0;
      for (const Job& job : workload.jobs[i]) {
        ASSERT_GE(job.release, last);
        ASSERT_LT(job.release, workload.horizon);
        ASSERT_GT(job.demand, 0);
        ASSERT_LE(job.demand, std::max(4 * workload.servers[i].budget, workload.horizon));
        last = job.release;
      }
    }
  }
}

// Long enough to see something, short enough for thousands of runs.
TEST(TaskSetsTest, runs_have_some_hundreds_of_events) {
  constexpr std::uint64_t kRuns = 50;
  std::size_t slices = 0;
  std::uint64_t throttles = 0;
  for (std::uint64_t seed = 0; seed < kRuns; ++seed) {
    const Schedule schedule = run_reference(random_workload(seed, random_mix(seed)));
    slices += schedule.slices.size();
    for (const std::uint64_t count : schedule.throttles) throttles += count;
  }
  EXPECT_GT(slices, 100 * kRuns);
  EXPECT_GT(throttles, 30 * kRuns);
}

}  // namespace
}  // namespace guest::sched::testing
