// The scheduler on random sets of servers: slice by slice as the reference simulator has it, and with what it promises.
// SIS_SCHED_SETS is how many sets there are for that, and for the other tests a fifth. A failure names the seed of its
// set, which SIS_SCHED_SEED runs alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <string>

#include "guest/kernel/sched/cpu_scheduler.hpp"
#include "properties.hpp"
#include "reference.hpp"
#include "simulation.hpp"
#include "task_sets.hpp"

namespace guest::sched::testing {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

template <typename Check>
void for_each_seed(std::uint64_t share, Check check) {
  const std::uint64_t sets = number_from("SIS_SCHED_SETS", 10'000) / share;
  const std::uint64_t first = number_from("SIS_SCHED_SEED", 0);
  const std::uint64_t end = std::getenv("SIS_SCHED_SEED") == nullptr ? sets : first + 1;
  for (std::uint64_t seed = first; seed < end && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("SIS_SCHED_SEED=" + std::to_string(seed));
    check(seed);
  }
}

void expect_same(const Schedule& is, const Schedule& wanted) {
  const auto [slice, wanted_slice] = std::ranges::mismatch(is.slices, wanted.slices);
  if (slice != is.slices.end() && wanted_slice != wanted.slices.end()) {
    FAIL() << "server " << slice->server << " in [" << slice->begin << ", " << slice->end << "), wanted: server "
           << wanted_slice->server << " in [" << wanted_slice->begin << ", " << wanted_slice->end << ")";
  }
  EXPECT_EQ(is.slices.size(), wanted.slices.size());
  EXPECT_EQ(is.finishes, wanted.finishes);
  EXPECT_EQ(is.throttles, wanted.throttles);
}

TEST(RandomSets, AreScheduledAsTheReferenceHasItAndAsPromised) {
  for_each_seed(1, [](std::uint64_t seed) {
    const Workload workload = random_workload(seed, random_mix(seed));
    const Schedule schedule = simulate(workload);
    expect_same(schedule, run_reference(workload));
    EXPECT_EQ(honest_servers_miss_nothing(workload, schedule), "");
    EXPECT_EQ(hard_servers_are_bounded(workload, schedule), "");
    EXPECT_EQ(best_effort_has_its_share(workload, schedule), "");
    EXPECT_EQ(work_is_conserved(workload, schedule), "");
  });
}

TEST(RandomSets, GiveTheSameTraceAgain) {
  for_each_seed(5, [](std::uint64_t seed) {
    EXPECT_EQ(simulate(random_workload(seed, random_mix(seed))), simulate(random_workload(seed, random_mix(seed))));
  });
}

/// The servers of `workload` that fit on one of so many CPUs, by CPU, with ids from 0 on each of them.
std::vector<Workload> partition(const Workload& workload, std::size_t cpu_count) {
  std::deque<CpuScheduler> cpus(cpu_count);
  std::vector<CpuScheduler*> pointers;
  pointers.reserve(cpu_count);
  for (CpuScheduler& cpu : cpus) pointers.push_back(&cpu);
  std::vector<Workload> parts(
      cpu_count, Workload{.servers = {}, .jobs = {}, .horizon = workload.horizon, .bound_ppm = kDefaultBound});
  for (std::size_t i = 0; i < workload.servers.size(); ++i) {
    const ServerSpec& spec = workload.servers[i];
    const Server server(static_cast<std::uint32_t>(i),
                        {.budget = spec.budget, .period = spec.period, .deadline = spec.deadline});
    const Placement placement = place(pointers, server);
    if (placement.admission.verdict != Verdict::Admitted) continue;
    parts[placement.cpu].servers.push_back(spec);
    parts[placement.cpu].jobs.push_back(workload.jobs[i]);
  }
  return parts;
}

TEST(RandomSets, MissNothingOnOneToEightCpus) {
  std::size_t admitted = 0;
  for_each_seed(5, [&admitted](std::uint64_t seed) {
    const std::size_t cpus = 1 + seed % 8;
    Mix mix = random_mix(seed);
    for (std::size_t i = 1; i < cpus; ++i) {
      const Mix more = random_mix(seed + i * 1'000'003);
      mix.servers.insert(mix.servers.end(), more.servers.begin(), more.servers.end());
    }
    mix.density_ppm = static_cast<std::int64_t>(cpus * kDefaultBound);
    for (const Workload& part : partition(random_workload(seed, mix), cpus)) {
      admitted += part.servers.size();
      EXPECT_LE(density_ppm(part.servers), kDefaultBound);
      EXPECT_EQ(honest_servers_miss_nothing(part, simulate(part)), "");
    }
  });
  EXPECT_GT(admitted, 0U);
}

/// Who always has work is to the others as one who uses its budget, all of it and no more, at the start of each period.
TEST(RandomSets, GreedyServerIsToTheOthersAsOneThatUsesItsBudget) {
  for_each_seed(5, [](std::uint64_t seed) {
    Mix mix = random_mix(seed);
    mix.density_ppm = 700'000;
    mix.bound_ppm = kWhole;
    const Workload others = random_workload(seed, mix);
    const std::int64_t period = 1'000'000 + static_cast<std::int64_t>(seed % 97) * 1'000'003;
    const Workload greedy = with_greedy(others, {.budget = period / 10 * 3, .period = period, .deadline = period});
    Workload exact = greedy;
    exact.jobs.back().clear();
    for (std::int64_t release = 0; release < exact.horizon; release += period) {
      exact.jobs.back().push_back({.release = release, .demand = greedy.servers.back().budget});
    }
    const Schedule with_greed = simulate(greedy);
    const Schedule with_restraint = simulate(exact);
    EXPECT_EQ(with_greed.slices, with_restraint.slices);
    for (std::size_t i = 0; i < others.servers.size(); ++i) {
      EXPECT_EQ(with_greed.finishes[i], with_restraint.finishes[i]) << "server " << i;
    }
  });
}

/// One that always has work and takes all that it can get of the others' time makes none of them late, and leaves
/// best-effort tasks their share.
TEST(RandomSets, GreedyServerThatReclaimsTakesOnlyWhatIsLeft) {
  std::int64_t more = 0;
  for_each_seed(10, [&more](std::uint64_t seed) {
    Mix mix = random_mix(seed);
    mix.density_ppm = 700'000;
    mix.bound_ppm = seed % 2 == 0 ? 850'000 : kWhole;
    const std::int64_t period = 1'000'000 + static_cast<std::int64_t>(seed % 97) * 1'000'003;
    const ServerSpec spec{
        .budget = period * 15 / 100, .period = period, .deadline = period, .soft = seed % 3 == 0, .reclaim = true};
    const Workload greedy = with_greedy(random_workload(seed, mix), spec);
    const Schedule schedule = simulate(greedy);
    EXPECT_EQ(honest_servers_miss_nothing(greedy, schedule), "");
    EXPECT_EQ(hard_servers_are_bounded(greedy, schedule), "");
    EXPECT_EQ(best_effort_has_its_share(greedy, schedule), "");
    for (const Slice& slice : schedule.slices) {
      if (slice.server == static_cast<int>(greedy.servers.size()) - 1) more += slice.end - slice.begin;
    }
    more -= greedy.horizon / period * spec.budget;
  });
  EXPECT_GT(more, 0);
}

}  // namespace
}  // namespace guest::sched::testing
