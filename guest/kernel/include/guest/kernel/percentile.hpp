// Percentiles by nearest rank, and how many samples each needs.
#pragma once

#include <cstdint>

namespace guest::kernel {

/// In hundredths of a percent.
enum class Percentile : std::uint16_t {
  P50 = 50'00,
  P90 = 90'00,
  P95 = 95'00,
  P99 = 99'00,
  P99_9 = 99'90,
  P99_99 = 99'99,
};
inline constexpr std::uint64_t kWholePercentile = 100'00;

/// Samples below which a percentile is no more than the largest sample under another name: 100 for P99, 1000 for P99.9.
/// One sample in so many lies above it.
constexpr std::uint64_t samples_needed(Percentile percentile) {
  const std::uint64_t above = kWholePercentile - static_cast<std::uint64_t>(percentile);
  return (kWholePercentile + above - 1) / above;
}

/// Which of `count` samples in rising order is the percentile, from 1: the smallest rank that is not below the
/// percentile of `count`. `count` at least 1.
constexpr std::uint64_t nearest_rank(std::uint64_t count, Percentile percentile) {
  const auto part = static_cast<std::uint64_t>(percentile);
  // count * part / whole, rounded up, in two halves that cannot overflow.
  return count / kWholePercentile * part + (count % kWholePercentile * part + kWholePercentile - 1) / kWholePercentile;
}
static_assert(nearest_rank(100, Percentile::P99) == 99 && nearest_rank(101, Percentile::P99) == 100);
static_assert(nearest_rank(1, Percentile::P50) == 1 && samples_needed(Percentile::P99_9) == 1000);

}  // namespace guest::kernel
