#include "vmm/observe/metrics_file.hpp"

#include "reply_fields.hpp"

namespace vmm::observe {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& json) {
  return json.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

/// [1,2,null]: by hand, as there may be millions.
void append_values(const std::vector<std::uint64_t>& values, std::string& out) {
  out += '[';
  for (const std::uint64_t value : values) {
    if (out.back() != '[') out += ',';
    out += value == MetricHistory::kNone ? "null" : std::to_string(value);
  }
  out += ']';
}

void append_history(const MetricsFile& file, std::string& out) {
  const MetricHistory& history = file.history;
  const std::uint64_t interval = file.interval_ns.value_or(0) * history.stride();
  const ordered_json facts{{"interval_ns", interval}, {"samples", history.samples()},   {"stride", history.stride()},
                           {"lost", history.lost()},  {"left_out", history.left_out()}, {"frozen", history.frozen()}};
  std::string text = text_of(facts);
  text.pop_back();
  out += text + ",\n\"times_ns\":";
  append_values(history.times(), out);
  out += ",\n\"series\":{";
  const char* separator = "\n";
  for (const auto& [name, series] : history.series()) {
    out += separator + ('"' + name) + "\":";  // a name has nothing to escape
    append_values(series.values, out);
    separator = ",\n";
  }
  out += "}}";
}

/// The metrics at the end of a history. What they say of times is made of the histograms, so that both say the same.
std::map<std::string, std::uint64_t, std::less<>> last_of(const MetricsFile& file) {
  auto last = file.history.last();
  if (!file.history.frozen()) return last;
  for (const auto& [name, histogram] : file.histograms) {
    last.insert_or_assign(name + "_total_ns", histogram.total());
    last.insert_or_assign(name + "_max_ns", histogram.max());
    for (const auto& [part, value] : histogram.percentiles()) last.insert_or_assign(name + '_' + part + "_ns", value);
  }
  return last;
}

}  // namespace

bool MetricsFile::take_metrics(const nlohmann::json& reply) {
  const auto* const metrics = object_in(reply, "metrics");
  if (metrics == nullptr) return false;
  bool room = true;
  for (const auto& [name, value] : metrics->items()) {
    const auto number = number_in(value);
    const bool known = final.contains(name);
    room = room && (known || final.size() < MetricHistory::kMaxSeries);
    if (number && room && (known || is_metric_name(name))) {
      final.insert_or_assign(name, *number);
    } else {
      ++left_out;
    }
  }
  return room;
}

bool MetricsFile::take_histograms(const nlohmann::json& reply) {
  const auto* const all = object_in(reply, "histograms");
  if (all == nullptr) return false;
  bool room = true;
  for (const auto& [name, value] : all->items()) {
    auto histogram = TimeHistogram::from(value);
    const bool known = histograms.contains(name);
    room = room && (known || histograms.size() < kMaxHistograms);
    if (histogram && room && (known || is_metric_name(name))) {
      histograms.insert_or_assign(name, std::move(*histogram));
    } else {
      ++left_out;
    }
  }
  return room;
}

std::string MetricsFile::to_text() const {
  ordered_json clock{{"unit", "ns"}};
  if (resolution_ns) clock["resolution_ns"] = *resolution_ns;
  const bool from_history = history.frozen() || final.empty();
  const ordered_json head{{"format", "sis-metrics"}, {"version", 1},
                          {"machine", machine},      {"scenario", scenario},
                          {"clock", clock},          {"final_from", from_history ? "history" : "answer"},
                          {"left_out", left_out}};
  std::string out = text_of(head);
  out.pop_back();
  out += ",\n\"final\":" + text_of(ordered_json(from_history ? last_of(*this) : final));
  out += ",\n\"histograms\":{";
  const char* separator = "\n";
  for (const auto& [name, histogram] : histograms) {
    out += separator + ('"' + name) + "\":" + text_of(histogram.to_json());
    separator = ",\n";
  }
  out += "},\n\"history\":";
  append_history(*this, out);
  out += ",\n\"host\":" + text_of(host) + "}\n";
  return out;
}

}  // namespace vmm::observe
