// What the scheduler has to do when a thread is woken, alone: without a switch, a lock and a clock. With a budget and
// without, so that the difference is what budgets cost.
#include <optional>

#include "guest/bench/benchmark.hpp"
#include "guest/kernel/sched/cpu_scheduler.hpp"

namespace guest::bench {
namespace {

constexpr std::uint32_t kWakes = 64;  ///< in a sample
/// Soft, so that it is never throttled.
constexpr sched::ServerParameters kServer{
    .budget = 1'000'000, .period = 100'000'000, .deadline = 100'000'000, .depletion = sched::Depletion::Soft};
constexpr sched::Time kRuns = 20;      ///< a woken task, of its budget: more than its share, so that it keeps the rest
constexpr sched::Time kRests = 1'000;  ///< it, until it is woken again

/// A CPU that is not there. A task that always runs, and one that is woken and blocks again.
struct Scheduled {
  sched::CpuScheduler scheduler;
  sched::Server server{1, kServer};
  sched::Task busy;
  sched::Task real_time{&server};
  sched::Task best_effort;
  sched::Time now = 0;
};
constinit std::optional<Scheduled> scheduled;

Ready prepare() {
  Scheduled& all = scheduled.emplace();
  if (all.scheduler.admit(all.server).verdict != sched::Verdict::Admitted) {
    return std::unexpected("the server is not admitted");
  }
  all.scheduler.wake(all.busy, all.now);
  return {};
}

void finish() { scheduled.reset(); }

/// Each wake-up is timed by itself, what comes between is not: shorter than a tick, but over many the mean is exact.
std::uint64_t time_of_wakes(Scheduled& all, sched::Task& task) {
  std::uint64_t ticks = 0;
  for (std::uint32_t i = 0; i < kWakes; ++i) {
    all.now += kRests;
    const std::uint64_t begin = kernel::tick_count();
    all.scheduler.wake(task, all.now);
    const sched::Task* const runs = all.scheduler.choose(all.now);
    const sched::Time until = all.scheduler.next_event();
    // What the caller would make of the answers: nothing here, so the compiler must not leave them out.
    asm volatile("" : : "r"(runs), "r"(until));
    ticks += kernel::tick_count() - begin;
    all.now += kRuns;
    all.scheduler.block(task, all.now);
    (void)all.scheduler.choose(all.now);
  }
  return ticks;
}

Sample take_with_budget(const Benchmark&) { return time_of_wakes(*scheduled, scheduled->real_time); }
Sample take_without_budget(const Benchmark&) { return time_of_wakes(*scheduled, scheduled->best_effort); }

constexpr Benchmark kBenchmarks[] = {
    {.name = "sched-wake",
     .measures = "the scheduler: a task in a server is woken, chosen, and given its budget",
     .operations = kWakes,
     .take = take_with_budget,
     .prepare = prepare,
     .finish = finish},
    {.name = "sched-wake-best-effort",
     .measures = "the same of a task without a budget: the difference is what budgets cost",
     .operations = kWakes,
     .take = take_without_budget,
     .prepare = prepare,
     .finish = finish},
};

}  // namespace

std::span<const Benchmark> scheduler_benchmarks() { return kBenchmarks; }

}  // namespace guest::bench
