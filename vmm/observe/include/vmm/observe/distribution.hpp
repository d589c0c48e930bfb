// Figures of a series of samples.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace vmm::observe {

/// The smallest sample that at least `percent` of all samples do not exceed (nearest rank: always one that was
/// measured). `sorted`: ascending. Nothing when the samples are too few to tell it from the largest one: n * (1 -
/// percent/100) must be at least 1, so the 95th takes 20 samples and the 99th takes 100.
std::optional<std::int64_t> percentile(const std::vector<std::int64_t>& sorted, unsigned percent);

/// Of one or more samples, in their unit.
struct Distribution {
  std::int64_t min;
  std::int64_t median;
  std::optional<std::int64_t> p95;
  std::optional<std::int64_t> p99;
  std::int64_t max;
};
Distribution distribution_of(std::vector<std::int64_t> samples);

}  // namespace vmm::observe
