#include "tools/web/prometheus_text.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

namespace sis_web {
namespace {

using nlohmann::json;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

/// Ends of names of figures that only grow (docs/observation.md, "Metrics").
constexpr std::string_view kGrowing[] = {
    "_runs",       "_failures",      "_overruns",   "_sent",      "_stalls",    "_drops",     "_jobs",
    "_misses",     "_throttles",     "_interrupts", "_ipis_sent", "_switches",  "_total_ns",  "_ran_ns",
    "_stolen_ns",  "_count",         "_requests",   "_rejects",   "_finished",  "_cancelled", "_failed",
    "_tokens_out", "_prompt_tokens", "_chunks",     "_steps",     "_cycles",    "_faults",    "_resets",
    "_refused",    "_copied",        "_busy_ns",    "_throttled", "_unhandled", "_spurious"};

struct Unit {
  std::string_view suffix;       ///< of the guest's name
  std::string_view replacement;  ///< of Prometheus'
  double scale;
};
constexpr Unit kUnits[] = {{"_ns", "_seconds", 1e-9}, {"_us", "_seconds", 1e-6}, {"_permille", "_ratio", 1e-3}};

/// What a metric is called, and what it is to be multiplied with.
struct Naming {
  std::string name;
  double scale = 1;
  bool grows = false;
};

void remove_end(std::string& text, std::string_view end) {
  if (text.ends_with(end)) text.resize(text.size() - end.size());
}

/// Of a name of [a-z0-9_]; others have no metric.
bool is_metric_name(std::string_view name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

Naming naming_of(const std::string& metric) {
  Naming naming{.name = "sis_" + metric};
  naming.grows = std::ranges::any_of(kGrowing, [&](std::string_view end) { return metric.ends_with(end); }) ||
                 metric == "npu_bytes" || metric == "npu_jobs" || metric.starts_with("npu_jobs_");
  if (metric == "npu_jobs_in_flight") naming.grows = false;
  if (metric == "llm_milli_tokens_per_second") return {.name = "sis_llm_token_rate", .scale = 1e-3};
  for (const Unit& unit : kUnits) {
    if (!metric.ends_with(unit.suffix)) continue;
    remove_end(naming.name, unit.suffix);
    remove_end(naming.name, "_total");
    naming.name += unit.replacement;
    naming.scale = unit.scale;
  }
  // These ends are histograms'.
  remove_end(naming.name, "_count");
  if (naming.grows) naming.name += "_total";
  return naming;
}

std::vector<ClientMetric::Label> label_of(const std::string& machine) { return {{"machine", machine}}; }

MetricFamily family_of(const std::string& machine, const std::string& metric, Naming naming, std::uint64_t value) {
  ClientMetric client;
  client.label = label_of(machine);
  const double scaled = static_cast<double>(value) * naming.scale;
  (naming.grows ? client.counter.value : client.gauge.value) = scaled;
  return {.name = std::move(naming.name),
          .help = "The guest's metric " + metric + ".",
          .type = naming.grows ? MetricType::Counter : MetricType::Gauge,
          .metric = {std::move(client)}};
}

/// @param histogram as MachineView has checked it
MetricFamily histogram_of(const std::string& machine, const std::string& metric, const json& histogram) {
  ClientMetric client;
  client.label = label_of(machine);
  client.histogram.sample_count = histogram["count"].get<std::uint64_t>();
  client.histogram.sample_sum = histogram["total"].get<double>() * 1e-9;
  std::uint64_t below = 0;
  double last = -1;
  for (const json& bucket : histogram["buckets"]) {
    below += bucket[2].get<std::uint64_t>();
    const double upper = bucket[1].get<double>() * 1e-9;
    // Bounds must rise, whatever a guest says.
    if (upper <= last) continue;
    client.histogram.bucket.push_back({.cumulative_count = below, .upper_bound = upper});
    last = upper;
  }
  return {.name = "sis_" + metric + "_seconds",
          .help = "The guest's histogram " + metric + ".",
          .type = MetricType::Histogram,
          .metric = {std::move(client)}};
}

}  // namespace

std::string prometheus_text(const std::string& machine, bool up, const std::map<std::string, std::uint64_t>& metrics,
                            const json& histograms) {
  std::vector<MetricFamily> families{family_of(machine, "up", {.name = "sis_up"}, up ? 1 : 0)};
  families.front().help = "Whether the machine runs.";
  // Two of the guest's names can come to one: x_ns and x_us. The first has it.
  std::set<std::string> taken{"sis_up"};
  for (const auto& [name, histogram] : histograms.items()) {
    if (is_metric_name(name) && taken.insert("sis_" + name + "_seconds").second) {
      families.push_back(histogram_of(machine, name, histogram));
    }
  }
  for (const auto& [name, value] : metrics) {
    if (!is_metric_name(name)) continue;
    Naming naming = naming_of(name);
    if (!taken.insert(naming.name).second) {
      naming = {.name = "sis_" + name};
      if (!taken.insert(naming.name).second) continue;
    }
    families.push_back(family_of(machine, name, std::move(naming), value));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace sis_web
