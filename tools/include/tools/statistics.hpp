// Figures of a series of round trips.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace sisctl {

/// The smallest sample that at least `percent` of all samples do not exceed (nearest rank: always one that was
/// measured). `sorted`: ascending. Nothing when the samples are too few to tell it from the largest one: n * (1 -
/// percent/100) must be at least 1, so the 95th takes 20 samples and the 99th takes 100.
std::optional<std::int64_t> percentile(const std::vector<std::int64_t>& sorted, unsigned percent);

/// Of one or more samples, in nanoseconds.
struct Summary {
  std::int64_t min;
  std::int64_t median;
  std::optional<std::int64_t> p95;
  std::optional<std::int64_t> p99;
  std::int64_t max;
};
Summary summarize(std::vector<std::int64_t> samples_ns);

/// The step of the clock that round trips are measured with.
std::int64_t clock_resolution_ns();

}  // namespace sisctl
