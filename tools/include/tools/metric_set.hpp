// Metrics of one time, of the events of `watch metrics` that bring them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

namespace sisctl {

class MetricSet {
 public:
  /// Adds an event's. False: it is no event of `watch metrics`.
  bool add(const nlohmann::json& event);

  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] std::uint64_t time_ns() const { return time_ns_; }
  [[nodiscard]] const nlohmann::json& metrics() const { return metrics_; }

 private:
  std::uint64_t time_ns_ = 0;
  nlohmann::json metrics_ = nlohmann::json::object();
  bool complete_ = false;
};

}  // namespace sisctl
