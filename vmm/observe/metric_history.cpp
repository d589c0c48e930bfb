#include "vmm/observe/metric_history.hpp"

#include "reply_fields.hpp"

namespace vmm::observe {

bool MetricHistory::take(const nlohmann::json& event) {
  const auto time_ns = number_in(event, "time_ns");
  const auto* const metrics = object_in(event, "metrics");
  if (!time_ns || metrics == nullptr) return false;
  for (const auto& [name, value] : metrics->items()) set(name, value);
  frozen_ = frozen_ || flag_in(event, "frozen");
  if (samples_ == 0 || *time_ns > last_time_) {
    lost_ += number_in(event, "lost").value_or(0);
    last_time_ = *time_ns;
    if (samples_++ % stride_ == 0) append(*time_ns);
  } else if (*time_ns == last_time_ && times_.back() == *time_ns) {
    for (const auto& [name, value] : metrics->items()) {
      if (const auto found = series_.find(name); found != series_.end())
        found->second.values.back() = found->second.now;
    }
  }
  return true;
}

void MetricHistory::set(const std::string& name, const nlohmann::json& value) {
  const auto number = number_in(value);
  const auto found = series_.find(name);
  // What it was until now.
  if (found != series_.end()) found->second.values.resize(times_.size(), found->second.now);
  // Null: the metric is not there any more.
  if (found != series_.end() && value.is_null()) {
    found->second.now = kNone;
  } else if (!number || (found == series_.end() && (series_.size() >= kMaxSeries || !is_metric_name(name)))) {
    ++left_out_;
  } else if (found != series_.end()) {
    found->second.now = *number;
  } else {
    series_.emplace(name, Series{.now = *number, .values = std::vector<std::uint64_t>(times_.size(), kNone)});
  }
}

void MetricHistory::append(std::uint64_t time_ns) {
  times_.push_back(time_ns);
  while (times_.size() * series_.size() > max_values_) thin();
}

std::map<std::string, MetricHistory::Series, std::less<>> MetricHistory::series() const {
  auto all = series_;
  for (auto& [name, series] : all) series.values.resize(times_.size(), series.now);
  return all;
}

void MetricHistory::thin() {
  const auto drop_every_second = [](std::vector<std::uint64_t>& values) {
    const std::size_t kept = (values.size() + 1) / 2;
    for (std::size_t i = 1; i < kept; ++i) values[i] = values[2 * i];
    values.resize(kept);
  };
  const std::size_t before = times_.size();
  drop_every_second(times_);
  for (auto& [name, series] : series_) {
    series.values.resize(before, series.now);
    drop_every_second(series.values);
  }
  stride_ *= 2;
}

std::map<std::string, std::uint64_t, std::less<>> MetricHistory::last() const {
  std::map<std::string, std::uint64_t, std::less<>> values;
  for (const auto& [name, series] : series_) {
    if (series.now != kNone) values.emplace_hint(values.end(), name, series.now);
  }
  return values;
}

}  // namespace vmm::observe
