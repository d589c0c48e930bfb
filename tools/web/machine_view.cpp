#include "tools/web/machine_view.hpp"

#include <filesystem>

#include "tools/web/prometheus_text.hpp"
#include "vmm/base/file.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/report/page.hpp"

namespace sis_web {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kMaxScenario = std::size_t{4} << 20;
constexpr std::size_t kMaxBuckets = 2048;

/// Of which metrics the page draws the past (vmm/report/page/plots.js).
bool is_drawn(const std::string& name) {
  return name == "npu_busy_ns" || name == "llm_tokens_out" || name == "llm_prompt_tokens" ||
         (name.starts_with("server_") && name.ends_with("_ran_ns")) ||
         (name.starts_with("ch_") && name.ends_with("_depth"));
}

/// [lower, upper, count].
bool is_bucket(const json& bucket) {
  return bucket.is_array() && bucket.size() == 3 && bucket[0].is_number_unsigned() && bucket[1].is_number_unsigned() &&
         bucket[2].is_number_unsigned();
}

bool is_histogram(const json& histogram) {
  if (!histogram.is_object()) return false;
  for (const char* key : {"count", "total", "max"}) {
    const auto found = histogram.find(key);
    if (found == histogram.end() || !found->is_number_unsigned()) return false;
  }
  const auto buckets = histogram.find("buckets");
  return buckets != histogram.end() && buckets->is_array() && buckets->size() <= kMaxBuckets &&
         std::ranges::all_of(*buckets, is_bucket);
}

std::string text_of(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

MachineView::MachineView(std::string machine, std::string folder) : machine_(std::move(machine)) {
  run_.folder = std::move(folder);
}

void MachineView::set_status(const json& status) {
  const std::lock_guard lock(mutex_);
  status_ = status;
  if (run_.scenario) return;
  // It is written when the machine has been started.
  auto scenario = vmm::read_file(std::filesystem::path(run_.folder) / vmm::machine::file::kScenario, kMaxScenario);
  if (!scenario) return;
  run_.servers = vmm::report::servers_of(*scenario);
  run_.scenario = std::move(*scenario);
}

void MachineView::set_metrics(std::uint64_t time_ns, const json& metrics) {
  Sample sample{.time_ns = time_ns, .values = {}};
  std::map<std::string, std::uint64_t> all;
  for (const auto& [name, value] : metrics.items()) {
    if (!value.is_number_unsigned() || all.size() == kMaxMetrics) continue;
    all[name] = value.get<std::uint64_t>();
    if (is_drawn(name) && sample.values.size() < kMaxSeries) sample.values[name] = all[name];
  }
  const std::lock_guard lock(mutex_);
  metrics_ = std::move(all);
  past_.push_back(std::move(sample));
  if (past_.size() <= kMaxSamples) return;
  past_.pop_front();
  ++lost_;
}

void MachineView::set_histograms(const json& histograms) {
  json kept = json::object();
  for (const auto& [name, histogram] : histograms.items()) {
    if (kept.size() < kMaxHistograms && is_histogram(histogram)) kept[name] = histogram;
  }
  const std::lock_guard lock(mutex_);
  histograms_ = std::move(kept);
}

void MachineView::forget_past() {
  const std::lock_guard lock(mutex_);
  past_.clear();
  lost_ = 0;
}

void MachineView::set_ended(const std::string& how) {
  const std::lock_guard lock(mutex_);
  ended_ = how;
}

ordered_json MachineView::summary() const {
  ordered_json summary{
      {"machine", machine_}, {"outcome", ended_ ? "ended" : "running"}, {"message", ended_.value_or("")}};
  for (const char* key : {"scenario", "backend", "backend_version", "accel", "cpus", "memory_bytes"}) {
    if (status_.contains(key)) summary[key] = status_[key];
  }
  if (status_.contains("uptime_ns")) summary["duration_ns"] = status_["uptime_ns"];
  if (const auto boot = metrics_.find("boot_to_control_ready_ns"); boot != metrics_.end()) {
    summary["boot_guest_ns"] = boot->second;
  }
  return summary;
}

ordered_json MachineView::history() const {
  ordered_json times = ordered_json::array();
  std::map<std::string, ordered_json> series;
  for (std::size_t i = 0; i < past_.size(); ++i) {
    times.push_back(past_[i].time_ns);
    for (const auto& [name, value] : past_[i].values) {
      ordered_json& values = series[name];
      // A metric that came later has none before.
      while (values.size() < i) values.push_back(nullptr);
      values.push_back(value);
    }
  }
  for (auto& [name, values] : series) {
    while (values.size() < past_.size()) values.push_back(nullptr);
  }
  return {{"lost", lost_}, {"times_ns", times}, {"series", series}};
}

ordered_json MachineView::metrics() const {
  ordered_json histograms = ordered_json::object();
  for (const auto& [name, histogram] : histograms_.items()) {
    ordered_json& with_percentiles = histograms[name] = histogram;
    // The guest knows them: nearest ranks, where there are samples enough.
    for (const char* key : {"p50", "p95", "p99"}) {
      if (const auto found = metrics_.find(name + "_" + key + "_ns"); found != metrics_.end()) {
        with_percentiles[key] = found->second;
      }
    }
  }
  return {{"format", "sis-metrics"},  {"version", 1},        {"machine", machine_}, {"final", metrics_},
          {"histograms", histograms}, {"history", history()}};
}

std::string MachineView::data_json() const {
  const std::lock_guard lock(mutex_);
  vmm::report::RunData run = run_;
  run.summary = text_of(summary());
  if (!metrics_.empty()) {
    run.metrics = text_of(metrics());
  } else if (!ended_) {
    run.notes.emplace_back("The guest has not answered yet.");
  }
  return vmm::report::data_json(std::span(&run, 1), true);
}

std::string MachineView::prometheus() const {
  const std::lock_guard lock(mutex_);
  return prometheus_text(machine_, !ended_, metrics_, histograms_);
}

}  // namespace sis_web
