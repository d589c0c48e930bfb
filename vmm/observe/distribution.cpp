#include "vmm/observe/distribution.hpp"

#include <algorithm>

namespace vmm::observe {
namespace {

/// Rank of the percentile, from 1: the ceiling of n * percent / 100.
std::size_t rank(std::size_t count, unsigned percent) { return std::max<std::size_t>(1, (count * percent + 99) / 100); }

}  // namespace

std::optional<std::int64_t> percentile(const std::vector<std::int64_t>& sorted, unsigned percent) {
  if (sorted.size() * (100 - percent) < 100) return std::nullopt;
  return sorted[rank(sorted.size(), percent) - 1];
}

Distribution distribution_of(std::vector<std::int64_t> samples) {
  std::ranges::sort(samples);
  return {.min = samples.front(),
          .median = samples[rank(samples.size(), 50) - 1],
          .p95 = percentile(samples, 95),
          .p99 = percentile(samples, 99),
          .max = samples.back()};
}

}  // namespace vmm::observe
