#include "figures.hpp"

#include "tools/statistics.hpp"
#include "vmm/observe/distribution.hpp"

namespace load {

nlohmann::json Figures::report() const {
  nlohmann::json kinds = nlohmann::json::object();
  std::vector<std::int64_t> all;
  const auto summary_of = [](const std::vector<std::int64_t>& samples) {
    const auto summary = vmm::observe::distribution_of(samples);
    nlohmann::json told{{"count", samples.size()}, {"p50_ns", summary.median}, {"max_ns", summary.max}};
    // Too few samples tell nothing of the 99th.
    told["p99_ns"] = summary.p99 ? nlohmann::json(*summary.p99) : nlohmann::json();
    return told;
  };
  for (const auto& [kind, samples] : round_trips_ns_) {
    kinds[std::string(kind)] = summary_of(samples);
    all.insert(all.end(), samples.begin(), samples.end());
  }
  if (!all.empty()) kinds["all"] = summary_of(all);
  return {{"answered", answered_},
          {"sessions", sessions},
          {"abandoned", abandoned},
          {"events", events},
          {"failures", failures_},
          {"kinds", kinds},
          {"clock_resolution_ns", sisctl::clock_resolution_ns()}};
}

}  // namespace load
