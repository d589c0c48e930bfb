#include "vmm/report/trace_excerpt.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "json_text.hpp"

namespace vmm::report {
namespace {

/// Names of threads and processes that are kept, whatever else is.
constexpr std::size_t kMaxNames = 2000;
constexpr std::size_t kMaxOtherData = std::size_t{64} << 10;

struct Event {
  double ts;
  std::string_view text;
};

/// The events of a trace, sorted into those with a time and those that name something.
class Events {
 public:
  void take(std::string_view text, std::size_t max_bytes) {
    ++total_;
    if (text.size() > max_bytes || !text.starts_with('{')) return;
    bool names = false;
    double ts = 0;
    bool timed = false;
    for_each_member(text, [&](std::string_view key, std::string_view value) {
      if (key == "ph") names = value == "\"M\"";
      if (key == "ts") {
        timed = std::from_chars(value.data(), value.data() + value.size(), ts).ec == std::errc() && std::isfinite(ts);
      }
    });
    if (names) {
      if (names_.size() < kMaxNames) names_.push_back(text);
    } else if (timed) {
      timed_.push_back({ts, text});
    }
  }

  /// Drops all but the earliest. Of one time those that come first in the file stay.
  void keep_earliest(const ExcerptLimits& limits) {
    std::ranges::sort(timed_, {}, [](const Event& event) { return std::pair(event.ts, event.text.data()); });
    std::size_t bytes = 0;
    std::size_t kept = 0;
    while (kept < timed_.size() && kept < limits.events && bytes + timed_[kept].text.size() <= limits.bytes) {
      bytes += timed_[kept++].text.size();
    }
    timed_.resize(kept);
  }

  [[nodiscard]] std::string text() const {
    std::string out = "{\"events_total\":" + std::to_string(total_) +
                      ",\"left_out\":" + std::to_string(total_ - names_.size() - timed_.size()) + ",\"traceEvents\":[";
    const char* separator = "\n";
    for (const std::string_view name : names_) {
      out.append(separator).append(name);
      separator = ",\n";
    }
    for (const Event& event : timed_) {
      out.append(separator).append(event.text);
      separator = ",\n";
    }
    return out + "]";
  }

 private:
  std::size_t total_ = 0;
  std::vector<std::string_view> names_;
  std::vector<Event> timed_;
};

}  // namespace

Result<std::string> trace_excerpt(std::string_view text, const ExcerptLimits& limits) {
  if (auto checked = check_object(text); !checked) return std::unexpected(checked.error());
  std::string_view list;
  std::string_view other;
  for_each_member(text, [&](std::string_view key, std::string_view value) {
    if (key == "traceEvents") list = value;
    if (key == "otherData") other = value;
  });
  if (!list.starts_with('[')) return fail("expected an array \"traceEvents\"");
  Events events;
  for_each_element(list, [&](std::string_view event) { events.take(event, limits.event_bytes); });
  events.keep_earliest(limits);
  std::string out = events.text();
  if (other.size() <= kMaxOtherData && other.starts_with('{')) out.append(",\"otherData\":").append(other);
  return out + "}";
}

}  // namespace vmm::report
