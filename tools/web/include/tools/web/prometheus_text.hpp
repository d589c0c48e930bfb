// The guest's metrics as Prometheus reads them.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace sis_web {

/// Metrics in Prometheus' text format, each with the label machine="NAME". Names begin with sis_; what is in
/// nanoseconds, microseconds or thousandths is in seconds and ratios, as is usual there, and what only grows ends in
/// _total.
/// @param up whether the machine runs: the metric sis_up
/// @param histograms of nanoseconds: {name: {count, total, max, buckets: [[lower, upper, count], ...]}}
std::string prometheus_text(const std::string& machine, bool up, const std::map<std::string, std::uint64_t>& metrics,
                            const nlohmann::json& histograms);

}  // namespace sis_web
