// How often a time was how long, as the guest's `histograms` tells it: counts by range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace vmm::observe {

/// In nanoseconds. What is said of a sample is the largest value of its range: never too small, and with the guest's
/// ranges at most 12.5 % too large.
class TimeHistogram {
 public:
  /// More than the guest's histograms have (guest/kernel/histogram.hpp).
  static constexpr std::size_t kMaxBuckets = 512;

  /// Samples from `lower` to `upper`, both included.
  struct Bucket {
    std::uint64_t lower;
    std::uint64_t upper;
    std::uint64_t count;
    friend bool operator==(const Bucket&, const Bucket&) = default;
  };

  /// {unit: "ns", total, max, buckets: [[lower, upper, count], ...]}. Nothing: it is none, has more buckets than are
  /// allowed, or they do not rise.
  static std::optional<TimeHistogram> from(const nlohmann::json& reply);

  /// Samples in all buckets; what the guest says beside them may be of another moment.
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] const std::vector<Bucket>& buckets() const { return buckets_; }

  /// Nearest rank. Nothing where there are so few samples that it would be the largest one under another name: fewer
  /// than 100 of the 99th.
  /// @param part in hundredths of a percent, as 99'00; above 0 and below 100'00
  [[nodiscard]] std::optional<std::uint64_t> percentile(std::uint64_t part) const;

  /// "p50", "p95" and "p99", those that there are.
  [[nodiscard]] std::vector<std::pair<const char*, std::uint64_t>> percentiles() const;

  /// {unit, count, total, max, p50, p95, p99, buckets}, without the percentiles that there are not.
  [[nodiscard]] nlohmann::ordered_json to_json() const;

 private:
  bool add(const nlohmann::json& bucket);

  std::uint64_t count_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
  std::vector<Bucket> buckets_;
};

/// A percentile that the guest has among its metrics: `op_g_a_p95_ns` is the 95th of the histogram `op_g_a`.
struct PercentileMetric {
  std::string_view histogram;    ///< points into the metric's name
  std::uint64_t samples_needed;  ///< with fewer there is no such metric
};
/// Nothing: `metric` is not called like one.
std::optional<PercentileMetric> percentile_metric(std::string_view metric);

}  // namespace vmm::observe
