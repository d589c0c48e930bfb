#include "vmm/observe/clock_map.hpp"

#include <algorithm>

namespace vmm::observe {
namespace {

std::uint64_t middle(const ClockMap::Sample& sample) {
  return sample.host_before_ns + (sample.host_after_ns - sample.host_before_ns) / 2;
}

/// Guest times are bounded, so that differences of two fit.
constexpr std::uint64_t kMaxTime = UINT64_MAX / 4;

}  // namespace

void ClockMap::add(const Sample& sample) {
  const bool possible =
      sample.host_before_ns <= sample.host_after_ns && sample.host_after_ns <= kMaxTime && sample.guest_ns <= kMaxTime;
  const bool later =
      samples_.empty() || (sample.guest_ns > samples_.back().guest_ns && middle(sample) > middle(samples_.back()));
  if (!possible || !later) return;
  samples_.push_back(sample);
  if (samples_.size() <= kMaxSamples) return;
  std::size_t position = 0;
  std::erase_if(samples_, [&](const Sample&) { return position++ % 2 == 1; });
}

std::optional<std::int64_t> ClockMap::guest_time(std::uint64_t host_ns) const {
  if (samples_.empty()) return std::nullopt;
  const auto host = static_cast<std::int64_t>(std::min(host_ns, kMaxTime));
  const auto behind = std::ranges::upper_bound(samples_, static_cast<std::uint64_t>(host), {}, middle);
  const Sample& base = behind == samples_.begin() ? samples_.front() : *(behind - 1);
  const auto since = host - static_cast<std::int64_t>(middle(base));
  const auto guest = static_cast<std::int64_t>(base.guest_ns);
  if (behind == samples_.begin() || behind == samples_.end()) return guest + since;
  const auto rate =
      static_cast<double>(behind->guest_ns - base.guest_ns) / static_cast<double>(middle(*behind) - middle(base));
  return guest + static_cast<std::int64_t>(static_cast<double>(since) * rate);
}

std::optional<std::uint64_t> ClockMap::uncertainty_ns() const {
  if (samples_.empty()) return std::nullopt;
  std::uint64_t longest = 0;
  for (const Sample& sample : samples_) longest = std::max(longest, sample.host_after_ns - sample.host_before_ns);
  return (longest + 1) / 2;
}

nlohmann::ordered_json ClockMap::to_json() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (const auto uncertainty = uncertainty_ns()) json["uncertainty_ns"] = *uncertainty;
  json["samples"] = nlohmann::ordered_json::array();
  for (const Sample& sample : samples_) {
    json["samples"].push_back({{"host_before_ns", sample.host_before_ns},
                               {"host_after_ns", sample.host_after_ns},
                               {"guest_ns", sample.guest_ns}});
  }
  return json;
}

}  // namespace vmm::observe
