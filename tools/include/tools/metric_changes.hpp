// What of the guest's metrics has changed from one time to the next.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace sisctl {

struct MetricChange {
  std::string name;
  std::optional<std::uint64_t> value;  ///< nothing: it is not there any more
  /// Since the time before; nothing: it was not there then.
  std::optional<std::int64_t> by;
  std::optional<double> per_s;  ///< nothing: no time has passed
};

class MetricChanges {
 public:
  /// `metrics`: names and values as the guest says them, at `time_ns` of its clock. What is no number is passed over.
  /// The first time nothing has changed. In the order of the names.
  std::vector<MetricChange> feed(std::uint64_t time_ns, const nlohmann::json& metrics);

 private:
  std::optional<std::uint64_t> time_ns_;
  std::map<std::string, std::uint64_t> values_;
};

/// Lines "name  value  +delta  rate/s", in columns.
std::string text_of(const std::vector<MetricChange>& changes);
/// {time_ns, changes: {name: {value, by, per_s}}}; the value of one that is gone is null.
nlohmann::json json_of(std::uint64_t time_ns, const std::vector<MetricChange>& changes);

}  // namespace sisctl
