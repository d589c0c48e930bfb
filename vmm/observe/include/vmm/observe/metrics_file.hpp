// metrics.json of a run: what the guest has measured, for programs (configs/metrics.schema.json).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "vmm/observe/metric_history.hpp"
#include "vmm/observe/time_histogram.hpp"

namespace vmm::observe {

/// What the file says. But for `host` the same run of the guest makes the same file.
struct MetricsFile {
  static constexpr std::size_t kMaxHistograms = 2048;

  /// Takes the answer to `metrics`, or a part of it, into `final`. False: it is none, or there were more than
  /// MetricHistory::kMaxSeries; what is too much, or no metric, is counted in `left_out`.
  bool take_metrics(const nlohmann::json& reply);
  /// Takes the answer to `histograms`, or a part of it, in the same way. One that is there is replaced.
  bool take_histograms(const nlohmann::json& reply);

  std::string machine;
  std::string scenario;
  std::optional<std::uint64_t> resolution_ns;  ///< of the guest's clock, where it has told
  std::optional<std::uint64_t> interval_ns;    ///< between two samples; absent: none are taken
  MetricHistory history{};
  std::map<std::string, std::uint64_t, std::less<>> final;  ///< answers to `metrics` at the end; empty: none came
  std::map<std::string, TimeHistogram, std::less<>> histograms;
  std::uint64_t left_out = 0;   ///< metrics and histograms of answers, beyond what is allowed or malformed
  nlohmann::ordered_json host;  ///< an object: all that is the host's, or of its time

  /// The file's text. Where the guest has stopped sampling its last sample is the end, with times as the histograms
  /// have them.
  [[nodiscard]] std::string to_text() const;
};

}  // namespace vmm::observe
