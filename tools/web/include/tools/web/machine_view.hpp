// What is known of a machine that runs: its newest figures, and a bounded past of those that the page draws.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "vmm/report/run_data.hpp"

namespace sis_web {

/// Filled by one thread, read by others. What comes from the guest is bounded here.
class MachineView {
 public:
  /// Samples of the past that are kept: ten minutes, one a second.
  static constexpr std::size_t kMaxSamples = 600;
  /// Series of the past, and metrics at a time. A guest has some hundreds.
  static constexpr std::size_t kMaxSeries = 256;
  static constexpr std::size_t kMaxMetrics = 4096;
  static constexpr std::size_t kMaxHistograms = 512;

  /// @param folder of the run, where scenario.yaml is
  MachineView(std::string machine, std::string folder);

  /// What the monitor says of itself (`status` of its socket).
  void set_status(const nlohmann::json& status);
  /// All metrics of one time, {name: integer}.
  void set_metrics(std::uint64_t time_ns, const nlohmann::json& metrics);
  /// The guest's histograms, {name: {count, total, max, buckets}}; an empty object: it has none to tell of.
  void set_histograms(const nlohmann::json& histograms);
  /// The guest starts anew: its time begins at 0 again.
  void forget_past();
  /// The machine has ended; `how` is for the page.
  void set_ended(const std::string& how);

  /// The data object of the page (docs/report.md).
  [[nodiscard]] std::string data_json() const;
  /// The newest figures, in Prometheus' text format.
  [[nodiscard]] std::string prometheus() const;

 private:
  struct Sample {
    std::uint64_t time_ns;
    std::map<std::string, std::uint64_t> values;
  };
  [[nodiscard]] nlohmann::ordered_json summary() const;
  [[nodiscard]] nlohmann::ordered_json metrics() const;
  [[nodiscard]] nlohmann::ordered_json history() const;

  const std::string machine_;
  vmm::report::RunData run_;  ///< what does not change
  mutable std::mutex mutex_;  ///< guards all below
  nlohmann::json status_ = nlohmann::json::object();
  std::map<std::string, std::uint64_t> metrics_;
  nlohmann::json histograms_ = nlohmann::json::object();
  std::deque<Sample> past_;
  std::uint64_t lost_ = 0;  ///< samples that made room for others
  std::optional<std::string> ended_;
};

}  // namespace sis_web
