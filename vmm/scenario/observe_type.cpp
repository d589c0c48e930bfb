#include "observe_type.hpp"

#include <algorithm>
#include <bit>

#include "abi/boot_config.hpp"
#include "items.hpp"
#include "section.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

constexpr char kOn[] = "on";
constexpr char kOff[] = "off";

bool is_word(const Node& node, std::string_view word) {
  return (node.kind == Node::Kind::Plain || node.kind == Node::Kind::Quoted) && node.text == word;
}

/// off, or a duration.
class IntervalType final : public Type<std::optional<std::chrono::milliseconds>> {
 public:
  using Value = std::optional<std::chrono::milliseconds>;
  void read(Problems& problems, const std::string& key, const Node& node, Value& out) const override {
    if (is_word(node, kOff)) {
      out.reset();
      return;
    }
    std::chrono::milliseconds value{};
    Problems of_duration;  // which does not know of "off"
    interval_->read(of_duration, key, node, value);
    if (of_duration.empty()) {
      out = value;
    } else {
      problems.add(node.at, key, found(node), allowed());
    }
  }
  [[nodiscard]] OrderedJson write(const Value& value) const override {
    return value ? interval_->write(*value) : OrderedJson(kOff);
  }
  [[nodiscard]] OrderedJson schema() const override {
    // Parsers of YAML 1.1, which editors may use, read off as a truth value.
    return {{"if", {{"type", "string"}, {"not", {{"const", kOff}}}}},
            {"then", interval_->schema()},
            {"else", {{"enum", {kOff, false}}}}};
  }
  [[nodiscard]] std::string allowed() const override { return "off, or " + interval_->allowed(); }

 private:
  static constexpr std::chrono::nanoseconds kMin{names::kMinMetricsNs};
  static constexpr std::chrono::nanoseconds kMax{names::kMaxMetricsNs};
  static_assert(kMin == 10ms && kMax == 1h);
  TypePtr<std::chrono::milliseconds> interval_ = duration(10ms, 1h);
};

TypePtr<abi::trace::Group> group_type() {
  std::vector<std::pair<std::string, abi::trace::Group>> groups;
  for (std::size_t i = 0; i < abi::trace::kGroups; ++i) {
    groups.emplace_back(abi::trace::kGroupNames[i], abi::trace::Group{static_cast<std::uint8_t>(i)});
  }
  return choice<abi::trace::Group>(std::move(groups));
}

void check_trace(Problems& problems, const std::string& key, const Node& node, const ObserveTrace& trace) {
  if (!std::has_single_bit(trace.events)) {
    problems.add(place(node, "events"), key + ".events", std::to_string(trace.events), "a power of two");
  }
  for (std::size_t i = 0; i < trace.what.size(); ++i) {
    if (std::find(trace.what.begin(), trace.what.begin() + static_cast<std::ptrdiff_t>(i), trace.what[i]) !=
        trace.what.begin() + static_cast<std::ptrdiff_t>(i)) {
      problems.add(items_of(node, "what")[i].at, item_key(key + ".what", i), "a group that is there twice",
                   "each at most once");
    }
  }
}

TypePtr<ObserveTrace> options_type() {
  return section<ObserveTrace>(
      {
          option("events", &ObserveTrace::events,
                 integer<unsigned>(std::int64_t{abi::trace::kMinEvents}, std::int64_t{abi::trace::kMaxEvents}),
                 "How many the ring of each CPU keeps, a power of two: 32 bytes each. Then the oldest are overwritten, "
                 "and counted."),
          option("what", &ObserveTrace::what, list(group_type(), 0, abi::trace::kGroups),
                 "Only what is named. Without it: all."),
      },
      check_trace);
}

/// on, off, or a map.
class TraceType final : public Type<std::optional<ObserveTrace>> {
 public:
  using Value = std::optional<ObserveTrace>;
  void read(Problems& problems, const std::string& key, const Node& node, Value& out) const override {
    if (node.kind == Node::Kind::Map) return options_->read(problems, key, node, out.emplace());
    if (is_word(node, kOn)) {
      out.emplace();
    } else if (is_word(node, kOff)) {
      out.reset();
    } else {
      problems.add(node.at, key, found(node), allowed());
    }
  }
  [[nodiscard]] OrderedJson write(const Value& value) const override {
    return value ? *value == ObserveTrace{} ? OrderedJson(kOn) : options_->write(*value) : OrderedJson(kOff);
  }
  [[nodiscard]] OrderedJson schema() const override {
    return {{"if", {{"type", "object"}}}, {"then", options_->schema()}, {"else", {{"enum", {kOn, kOff, true, false}}}}};
  }
  [[nodiscard]] std::string allowed() const override { return "on, off, or " + options_->allowed(); }
  void document(const std::string& key, std::vector<OptionRow>& rows) const override { options_->document(key, rows); }

 private:
  TypePtr<ObserveTrace> options_ = options_type();
};

}  // namespace

TypePtr<Observe> observe_type() {
  return section<Observe>({
      option("metrics", &Observe::metrics,
             TypePtr<std::optional<std::chrono::milliseconds>>(std::make_shared<IntervalType>()),
             "How often the guest samples its metrics, in its own time. off: it does not."),
      option("trace", &Observe::trace, TypePtr<std::optional<ObserveTrace>>(std::make_shared<TraceType>()),
             "What happens on each CPU, from the start on."),
  });
}

TypePtr<std::vector<std::string>> autorun_type() {
  return list(text({.max_bytes = names::kMaxLineBytes,
                    .pattern = "[^\\x00-\\x1f\\x7f]+",
                    .words = "a line of the guest's shell"}),
              0, names::kMaxLines);
}

void check_autorun(Problems& problems, const Node& root, const Scenario& scenario) {
  std::size_t bytes = 0;
  for (const std::string& line : scenario.autorun) bytes += line.size() + 1;
  if (bytes > names::kMaxLinesBytes) {
    problems.add(value_of(root, "autorun")->at, "autorun", std::to_string(bytes) + " bytes with their ends",
                 "at most " + std::to_string(names::kMaxLinesBytes));
  }
}

}  // namespace vmm::scenario
