#include "task_sets.hpp"

#include <algorithm>
#include <random>

namespace guest::sched::testing {
namespace {

constexpr std::int64_t kMicrosecond = 1000;
constexpr std::int64_t kPeriodsOfRun = 100;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// Uniform in [0, bound). What lies beyond the last multiple of `bound` is drawn again.
  std::int64_t below(std::int64_t bound) {
    const auto range = static_cast<std::uint64_t>(bound);
    const std::uint64_t limit = ~std::uint64_t{0} / range * range;
    std::uint64_t value = engine_();
    while (value >= limit) value = engine_();
    return static_cast<std::int64_t>(value % range);
  }

  /// Uniform in [least, most].
  std::int64_t between(std::int64_t least, std::int64_t most) { return least + below(most - least + 1); }

  bool one_in(std::int64_t count) { return below(count) == 0; }

 private:
  std::mt19937_64 engine_;
};

/// UUniFast: "Measuring the Performance of Schedulability Tests", Bini and Buttazzo, 2005. There the sum of the k
/// servers that are left is the sum so far times r^(1/k), r uniform in [0, 1): the distribution of the greatest of k
/// uniform numbers, which is what is drawn here, in integers. Each server has kLeastDensity in advance.
std::vector<std::int64_t> shares(Random& random, std::size_t count, std::int64_t density) {
  std::vector<std::int64_t> result;
  std::int64_t sum = density - static_cast<std::int64_t>(count) * kLeastDensity;
  for (std::size_t left = count - 1; left > 0; --left) {
    std::int64_t rest = 0;
    for (std::size_t i = 0; i < left; ++i) rest = std::max(rest, random.between(0, sum));
    result.push_back(kLeastDensity + sum - rest);
    sum = rest;
  }
  result.push_back(kLeastDensity + sum);
  return result;
}

/// Log-uniform, a density of 1/x, by rejection: x is uniform and kept with the probability kLeastPeriod / x.
std::int64_t random_period(Random& random) {
  std::int64_t period = random.between(kLeastPeriod, kMostPeriod);
  while (random.below(period) >= kLeastPeriod) period = random.between(kLeastPeriod, kMostPeriod);
  return period;
}

std::int64_t round_down(std::int64_t time, const Mix& mix) {
  return mix.odd_nanoseconds ? time - (time + 1) % 2 : time / kMicrosecond * kMicrosecond;
}

/// The budget is rounded down after the deadline is known: Q <= share * D, so ceil(Q / D) in ppm is at most the share,
/// which is whole, and the sum over all servers at most the sum of the shares.
ServerSpec random_server(Random& random, std::int64_t share, const ServerKind& kind, const Mix& mix) {
  ServerSpec spec{.budget = 0,
                  .period = round_down(random_period(random), mix),
                  .deadline = 0,
                  .soft = kind.soft,
                  .reclaim = kind.reclaim};
  spec.deadline = spec.period;
  if (mix.constrained && !random.one_in(4)) {
    spec.deadline = round_down(random.between(spec.period / 10, spec.period), mix);
  }
  spec.budget = round_down(spec.deadline * std::min(share, kWhole) / kWhole, mix);
  return spec;
}

std::int64_t random_time(Random& random, std::int64_t most, const Mix& mix) {
  const std::int64_t time = random.between(1, most);
  return mix.odd_nanoseconds || time < kMicrosecond ? time : time / kMicrosecond * kMicrosecond;
}

Job next_honest(Random& random, const Job& last, const ServerSpec& spec, const ServerKind& kind, const Mix& mix) {
  Job job{.release = last.release + spec.period, .demand = spec.budget};
  if (kind.behaviour == Behaviour::kSporadic && random.one_in(2)) {
    job.release += random_time(random, 2 * spec.period, mix);
  }
  if (random.one_in(2)) job.demand = random_time(random, spec.budget, mix);
  return job;
}

Job next_wild(Random& random, const Job& last, const ServerSpec& spec, std::int64_t stretch, const Mix& mix) {
  Job job{.release = last.release, .demand = 0};
  const std::int64_t gap = random.below(8);
  if (gap >= 2) job.release += random_time(random, std::max(spec.period * stretch / 2, spec.deadline), mix);
  if (gap == 7) job.release += random_time(random, 3 * spec.period, mix);
  const std::int64_t size = random.below(4);
  if (size < 2) job.demand = random_time(random, std::max<std::int64_t>(spec.budget / 2, 1), mix);
  if (size == 2) job.demand = random_time(random, spec.budget, mix);
  if (size == 3) job.demand = random_time(random, 4 * spec.budget, mix);
  return job;
}

std::vector<Job> random_jobs(Random& random, const ServerSpec& spec, const ServerKind& kind, std::int64_t horizon,
                             const Mix& mix) {
  if (kind.behaviour == Behaviour::kGreedy) return {{.release = 0, .demand = horizon}};
  // Some wild servers have a backlog most of the time, others sleep often and so wake up often.
  const std::int64_t stretch = random.between(1, 4);
  const std::int64_t offset = random.one_in(2) ? 0 : random_time(random, spec.period, mix);
  std::vector<Job> jobs{{.release = offset, .demand = spec.budget}};
  while (jobs.back().release < horizon) {
    const Job& last = jobs.back();
    jobs.push_back(kind.behaviour == Behaviour::kWild ? next_wild(random, last, spec, stretch, mix)
                                                      : next_honest(random, last, spec, kind, mix));
  }
  jobs.pop_back();
  return jobs;
}

/// The time in which all servers together begin about kPeriodsOfRun periods, but not only a part of one.
std::int64_t horizon_of(const std::vector<ServerSpec>& servers) {
  std::int64_t per_second = 0;
  std::int64_t longest = 0;
  for (const ServerSpec& spec : servers) {
    per_second += 1'000'000'000 / spec.period;
    longest = std::max(longest, spec.period);
  }
  return std::max(kPeriodsOfRun * 1'000'000'000 / per_second, longest);
}

}  // namespace

Workload random_workload(std::uint64_t seed, const Mix& mix) {
  Random random(seed);
  Workload workload{};
  const std::vector<std::int64_t> share = shares(random, mix.servers.size(), mix.density_ppm);
  for (std::size_t i = 0; i < share.size(); ++i) {
    workload.servers.push_back(random_server(random, share[i], mix.servers[i], mix));
  }
  workload.horizon = horizon_of(workload.servers);
  workload.bound_ppm = mix.bound_ppm;
  for (std::size_t i = 0; i < share.size(); ++i) {
    workload.jobs.push_back(random_jobs(random, workload.servers[i], mix.servers[i], workload.horizon, mix));
  }
  return workload;
}

Mix random_mix(std::uint64_t seed) {
  Random random(~seed);  // not the numbers that the workload of this seed is made of
  Mix mix{};
  const std::int64_t count = random.between(1, 8);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto behaviour = static_cast<Behaviour>(random.below(4));
    mix.servers.push_back({behaviour, random.one_in(4)});
  }
  mix.density_ppm = random.one_in(3) ? kWhole : random.between(300'000, kWhole);
  mix.constrained = random.one_in(2);
  mix.odd_nanoseconds = random.one_in(2);
  if (random.one_in(2)) {
    for (ServerKind& kind : mix.servers) kind.reclaim = random.one_in(2);
    mix.bound_ppm = random.between(mix.density_ppm, kWhole);
  }
  return mix;
}

Workload with_greedy(Workload workload, const ServerSpec& spec) {
  workload.servers.push_back(spec);
  workload.jobs.push_back({{.release = 0, .demand = workload.horizon}});
  return workload;
}

std::int64_t density_ppm(const std::vector<ServerSpec>& servers) {
  std::int64_t sum = 0;
  for (const ServerSpec& spec : servers) {
    const std::int64_t shorter = std::min(spec.deadline, spec.period);
    sum += (spec.budget * kWhole + shorter - 1) / shorter;
  }
  return sum;
}

}  // namespace guest::sched::testing
