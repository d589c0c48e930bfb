#include "guest/bench/benchmark.hpp"

#include <algorithm>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/percentile.hpp"

namespace guest::bench {
namespace {

using kernel::Percentile;

std::optional<std::uint64_t> percentile(std::span<const std::uint64_t> sorted, Percentile wanted) {
  if (sorted.size() < kernel::samples_needed(wanted)) {
    return std::nullopt;
  }
  return sorted[kernel::nearest_rank(sorted.size(), wanted) - 1];
}

/// Between prepare() and finish().
Result take_samples(const Benchmark& benchmark, std::uint32_t warm_up, std::span<std::uint64_t> samples,
                    const kernel::Interrupts& interrupts) {
  for (std::uint32_t i = 0; i < warm_up; ++i) {
    if (const Sample sample = benchmark.take(benchmark); !sample) {
      return {.why_not = sample.error()};
    }
  }
  const std::uint32_t cpu = kernel::cpu_index();
  const std::uint64_t before = interrupts.taken(cpu);
  for (std::uint64_t& ticks : samples) {
    const Sample sample = benchmark.take(benchmark);
    if (!sample) {
      return {.why_not = sample.error()};
    }
    ticks = *sample;
  }
  const std::uint64_t taken = interrupts.taken(cpu) - before;
  const std::uint64_t own = std::uint64_t{benchmark.own_interrupts} * samples.size();
  std::sort(samples.begin(), samples.end());
  return {.why_not = {},
          .min = samples.front(),
          .median = samples[kernel::nearest_rank(samples.size(), Percentile::P50) - 1],
          .p95 = percentile(samples, Percentile::P95),
          .p99 = percentile(samples, Percentile::P99),
          .max = samples.back(),
          // One interrupt may serve two causes, so there may be fewer than its own.
          .other_interrupts = taken > own ? taken - own : 0};
}

}  // namespace

Result run(const Benchmark& benchmark, std::uint32_t warm_up, std::span<std::uint64_t> samples,
           const kernel::Interrupts& interrupts) {
  kernel::require(!samples.empty(), "a benchmark without room for samples");
  if (benchmark.prepare != nullptr) {
    if (const Ready ready = benchmark.prepare(); !ready) {
      return {.why_not = ready.error()};
    }
  }
  const Result result = take_samples(benchmark, warm_up, samples, interrupts);
  if (benchmark.finish != nullptr) {
    benchmark.finish();
  }
  return result;
}

}  // namespace guest::bench
