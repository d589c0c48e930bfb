#include "vmm/observe/time_histogram.hpp"

#include <algorithm>
#include <string>

#include "reply_fields.hpp"

namespace vmm::observe {
namespace {

constexpr std::uint64_t kWhole = 100'00;
constexpr std::pair<const char*, std::uint64_t> kShown[] = {{"p50", 50'00}, {"p95", 95'00}, {"p99", 99'00}};

constexpr std::uint64_t samples_needed(std::uint64_t part) {
  const std::uint64_t above = kWhole - part;
  return (kWhole + above - 1) / above;
}

}  // namespace

std::optional<TimeHistogram> TimeHistogram::from(const nlohmann::json& reply) {
  const auto total = number_in(reply, "total");
  const auto max = number_in(reply, "max");
  if (!total || !max || !reply.contains("buckets") || reply.value("unit", nlohmann::json()) != "ns") {
    return std::nullopt;
  }
  const nlohmann::json& buckets = reply["buckets"];
  if (!buckets.is_array() || buckets.size() > kMaxBuckets) return std::nullopt;
  TimeHistogram histogram;
  histogram.total_ = *total;
  histogram.max_ = *max;
  for (const auto& bucket : buckets) {
    if (!histogram.add(bucket)) return std::nullopt;
  }
  return histogram;
}

bool TimeHistogram::add(const nlohmann::json& bucket) {
  if (!bucket.is_array() || bucket.size() != 3) return false;
  const auto lower = number_in(bucket[0]);
  const auto upper = number_in(bucket[1]);
  const auto count = number_in(bucket[2]);
  if (!lower || !upper || !count || *count == 0 || *lower > *upper) return false;
  if (!buckets_.empty() && *lower <= buckets_.back().upper) return false;
  if (*count > UINT64_MAX - count_) return false;
  count_ += *count;
  buckets_.push_back({.lower = *lower, .upper = *upper, .count = *count});
  return true;
}

std::optional<std::uint64_t> TimeHistogram::percentile(std::uint64_t part) const {
  if (count_ < samples_needed(part)) return std::nullopt;
  // count * part / whole, rounded up, in two halves that cannot overflow.
  const std::uint64_t rank = count_ / kWhole * part + (count_ % kWhole * part + kWhole - 1) / kWhole;
  std::uint64_t seen = 0;
  for (const Bucket& bucket : buckets_) {
    seen += bucket.count;
    if (seen >= rank) return std::min(bucket.upper, max_);
  }
  return max_;
}

std::vector<std::pair<const char*, std::uint64_t>> TimeHistogram::percentiles() const {
  std::vector<std::pair<const char*, std::uint64_t>> there;
  for (const auto& [name, part] : kShown) {
    if (const auto value = percentile(part)) there.emplace_back(name, *value);
  }
  return there;
}

nlohmann::ordered_json TimeHistogram::to_json() const {
  nlohmann::ordered_json json{{"unit", "ns"}, {"count", count_}, {"total", total_}, {"max", max_}};
  for (const auto& [name, value] : percentiles()) json[name] = value;
  json["buckets"] = nlohmann::ordered_json::array();
  for (const Bucket& bucket : buckets_) json["buckets"].push_back({bucket.lower, bucket.upper, bucket.count});
  return json;
}

std::optional<PercentileMetric> percentile_metric(std::string_view metric) {
  for (const auto& [name, part] : kShown) {
    const std::string ending = std::string("_") + name + "_ns";
    if (metric.size() > ending.size() && metric.ends_with(ending)) {
      return PercentileMetric{.histogram = metric.substr(0, metric.size() - ending.size()),
                              .samples_needed = samples_needed(part)};
    }
  }
  return std::nullopt;
}

}  // namespace vmm::observe
