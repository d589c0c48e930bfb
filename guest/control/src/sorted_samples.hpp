// Figures of samples that are all there: extremes and exact percentiles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/control/command.hpp"
#include "guest/kernel/percentile.hpp"

namespace guest::control {

struct SampleFigures {
  std::uint64_t min = 0;
  // By nearest rank; nothing: there are fewer samples than it needs.
  std::optional<std::uint64_t> median;
  std::optional<std::uint64_t> p95;
  std::optional<std::uint64_t> p99;
  std::uint64_t max = 0;
};

/// Of at least one; sorts them.
inline SampleFigures figures_of(std::span<std::uint64_t> samples) {
  std::sort(samples.begin(), samples.end());
  const auto rank = [samples](kernel::Percentile percentile) -> std::optional<std::uint64_t> {
    if (samples.size() < kernel::samples_needed(percentile)) {
      return std::nullopt;
    }
    return samples[kernel::nearest_rank(samples.size(), percentile) - 1];
  };
  return {.min = samples.front(),
          .median = rank(kernel::Percentile::P50),
          .p95 = rank(kernel::Percentile::P95),
          .p99 = rank(kernel::Percentile::P99),
          .max = samples.back()};
}

/// Under "<name>_min_ns", "<name>_p50_ns" and so on.
inline void add_figures(ResultMap& into, std::string_view name, const SampleFigures& figures) {
  const auto add = [&](std::string_view what, std::optional<std::uint64_t> value) {
    if (value) {
      kernel::FixedText<48> key;
      kernel::format_to(key, "{}_{}_ns", name, what);
      into.add(key.view(), *value);
    }
  };
  add("min", figures.min);
  add("p50", figures.median);
  add("p95", figures.p95);
  add("p99", figures.p99);
  add("max", figures.max);
}

}  // namespace guest::control
