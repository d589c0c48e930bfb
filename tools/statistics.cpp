#include "tools/statistics.hpp"

#include <time.h>

#include <algorithm>

namespace sisctl {
namespace {

/// Rank of the percentile, from 1: the ceiling of n * percent / 100.
std::size_t rank(std::size_t count, unsigned percent) { return std::max<std::size_t>(1, (count * percent + 99) / 100); }

}  // namespace

std::optional<std::int64_t> percentile(const std::vector<std::int64_t>& sorted, unsigned percent) {
  if (sorted.size() * (100 - percent) < 100) return std::nullopt;
  return sorted[rank(sorted.size(), percent) - 1];
}

Summary summarize(std::vector<std::int64_t> samples_ns) {
  std::ranges::sort(samples_ns);
  return {.min = samples_ns.front(),
          .median = samples_ns[rank(samples_ns.size(), 50) - 1],
          .p95 = percentile(samples_ns, 95),
          .p99 = percentile(samples_ns, 99),
          .max = samples_ns.back()};
}

std::int64_t clock_resolution_ns() {
  // std::chrono::steady_clock is CLOCK_MONOTONIC in the libraries in use.
  timespec step{};
  if (::clock_getres(CLOCK_MONOTONIC, &step) != 0) return 0;
  return std::int64_t{step.tv_sec} * 1'000'000'000 + step.tv_nsec;
}

}  // namespace sisctl
