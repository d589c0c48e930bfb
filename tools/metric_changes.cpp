#include "tools/metric_changes.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "tools/text.hpp"

namespace sisctl {

using nlohmann::json;

std::vector<MetricChange> MetricChanges::feed(std::uint64_t time_ns, const json& metrics) {
  std::map<std::string, std::uint64_t> values;
  if (metrics.is_object()) {
    for (const auto& [name, value] : metrics.items()) {
      if (value.is_number_unsigned()) values.emplace(name, value.get<std::uint64_t>());
    }
  }
  std::vector<MetricChange> changes;
  const bool is_first = !time_ns_;
  const double seconds = is_first || time_ns <= *time_ns_ ? 0 : static_cast<double>(time_ns - *time_ns_) / 1e9;
  for (const auto& [name, value] : values) {
    const auto before = values_.find(name);
    if (before != values_.end() && before->second == value) continue;
    MetricChange change{.name = name, .value = value, .by = std::nullopt, .per_s = std::nullopt};
    if (before != values_.end()) {
      // Wraps as it should: one that has fallen has changed by less than nothing.
      change.by = static_cast<std::int64_t>(value - before->second);
      if (seconds > 0) change.per_s = static_cast<double>(*change.by) / seconds;
    }
    changes.push_back(std::move(change));
  }
  for (const auto& [name, value] : values_) {
    if (!values.contains(name)) {
      changes.push_back({.name = name, .value = std::nullopt, .by = std::nullopt, .per_s = std::nullopt});
    }
  }
  std::ranges::sort(changes, {}, &MetricChange::name);
  time_ns_ = time_ns;
  values_ = std::move(values);
  return is_first ? std::vector<MetricChange>() : changes;
}

std::string text_of(const std::vector<MetricChange>& changes) {
  std::vector<std::array<std::string, 4>> rows;
  std::array<std::size_t, 4> widths{};
  for (const MetricChange& change : changes) {
    char rate[64] = "";
    if (change.per_s) std::snprintf(rate, sizeof(rate), "%+.1f/s", *change.per_s);
    const std::string by = change.by ? (*change.by > 0 ? "+" : "") + std::to_string(*change.by) : "";
    rows.push_back({printable(change.name), change.value ? std::to_string(*change.value) : "gone", by, rate});
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], rows.back()[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line = row[0] + std::string(widths[0] - row[0].size(), ' ');
    for (std::size_t i = 1; i < row.size(); ++i) line += std::string(widths[i] - row[i].size() + 2, ' ') + row[i];
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

json json_of(std::uint64_t time_ns, const std::vector<MetricChange>& changes) {
  json all = {{"time_ns", time_ns}, {"changes", json::object()}};
  for (const MetricChange& change : changes) {
    json& entry = all["changes"][change.name];
    entry["value"] = change.value ? json(*change.value) : json();
    if (change.by) entry["by"] = *change.by;
    if (change.per_s) entry["per_s"] = *change.per_s;
  }
  return all;
}

}  // namespace sisctl
