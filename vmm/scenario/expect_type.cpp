#include "expect_type.hpp"

#include <algorithm>

#include "abi/trace.hpp"
#include "condition_type.hpp"
#include "items.hpp"
#include "section.hpp"

namespace vmm::scenario {
namespace {

TypePtr<std::string> console_text() { return text({.max_bytes = 4096, .words = "a text; line breaks are \"\\n\""}); }

/// {contains: TEXT} or {absent: TEXT}.
class ConsoleType final : public Type<ConsoleExpectation> {
 public:
  void read(Problems& problems, const std::string& key, const Node& node, ConsoleExpectation& out) const override {
    if (node.kind != Node::Kind::Map || node.entries.size() != 1 || !is_key(node.entries[0].key)) {
      const bool other_key = node.kind == Node::Kind::Map && node.entries.size() == 1;
      problems.add(node.at, key, other_key ? "the key " + quote(node.entries[0].key) : found(node), allowed());
      return;
    }
    const Node::Entry& entry = node.entries[0];
    out.present = entry.key == kContains;
    text_->read(problems, key + '.' + entry.key, entry.value, out.text);
  }
  [[nodiscard]] OrderedJson write(const ConsoleExpectation& value) const override {
    return {{value.present ? kContains : kAbsent, text_->write(value.text)}};
  }
  [[nodiscard]] OrderedJson schema() const override {
    OrderedJson properties = {{kContains, text_->schema()}, {kAbsent, text_->schema()}};
    properties[kContains]["description"] = "The console shows this text at some time.";
    properties[kAbsent]["description"] = "The console never shows this text.";
    return {{"type", "object"},
            {"additionalProperties", false},
            {"properties", std::move(properties)},
            {"minProperties", 1},
            {"maxProperties", 1}};
  }
  [[nodiscard]] std::string allowed() const override { return "a map with contains or absent, one of them"; }
  void document(const std::string& key, std::vector<OptionRow>& rows) const override {
    rows.push_back({key + '.' + kContains, text_->allowed(), "", "The console shows this text at some time."});
    rows.push_back({key + '.' + kAbsent, text_->allowed(), "", "The console never shows this text."});
  }

 private:
  static constexpr char kContains[] = "contains";
  static constexpr char kAbsent[] = "absent";
  static bool is_key(const std::string& key) { return key == kContains || key == kAbsent; }

  TypePtr<std::string> text_ = console_text();
};

TypePtr<AuditExpectation> audit_type() {
  const auto condition = maybe(condition_reference());
  return section<AuditExpectation>(
      {
          option("event", &AuditExpectation::event, condition,
                 "What was recorded, as call-done, token-refused or llm."),
          option("op", &AuditExpectation::op, condition, "The command, or what the LLM service did."),
          option("code", &AuditExpectation::code, condition, "Code of the error; empty if there is none."),
          option("caller", &AuditExpectation::caller, condition, "kernel, console, connection, graph or task."),
          option("count", &AuditExpectation::count, condition, "How many such records. Without it: one or more."),
      },
      [](Problems& problems, const std::string& key, const Node& node, AuditExpectation& /*audit*/) {
        if (node.entries.empty()) {
          problems.add(node.at, key, "an empty map", "a map with event, op, code, caller, count, one or more of them");
        }
      });
}

TypePtr<std::string> event_type() {
  std::vector<std::pair<std::string, std::string>> names;
  for (const auto& event : abi::trace::kDescriptions) names.emplace_back(event.name, event.name);
  return choice<std::string>(std::move(names));
}

/// What is not recorded is never there, and to expect that of it says nothing.
void check_event(Problems& problems, const Position& at, const std::string& key, const std::string& event,
                 const Scenario& scenario) {
  const auto* const found = std::ranges::find(abi::trace::kDescriptions, event, &abi::trace::Description::name);
  if (found == std::end(abi::trace::kDescriptions)) return;  // has been told
  if (!scenario.observe || !scenario.observe->trace) {
    problems.add(at, key, "an event without a trace", "\"observe: {}\" in the scenario, so that there is one");
    return;
  }
  const auto& recorded = scenario.observe->trace->what;
  const auto number = static_cast<std::uint16_t>(found - std::begin(abi::trace::kDescriptions));
  const auto group = abi::trace::group_of(abi::trace::Type{number});
  if (recorded.empty() || std::ranges::find(recorded, group) != recorded.end()) return;
  problems.add(at, key, "an event that is not recorded",
               quote(abi::trace::kGroupNames[static_cast<std::size_t>(group)]) + " in observe.trace.what");
}

void check_events(Problems& problems, const Node& expect, const Scenario& scenario) {
  for (const auto& wanted : scenario.expect.trace) {
    check_event(problems, place(*value_of(expect, "trace"), wanted.event), "expect.trace." + wanted.event, wanted.event,
                scenario);
  }
  const auto& order = scenario.expect.trace_order;
  for (std::size_t i = 0; i < order.size(); ++i) {
    check_event(problems, items_of(expect, "trace_order")[i].at, item_key("expect.trace_order", i), order[i], scenario);
  }
}

TypePtr<Expectations> make_expect_type() {
  const auto name = text({.max_bytes = 128, .pattern = "[a-z0-9_]+", .words = "a metric's name (a-z 0-9 _)"});
  const auto metrics = std::make_shared<NamedConditions<MetricExpectation>>(&MetricExpectation::metric, name,
                                                                            "a map of metrics' names to conditions");
  const auto trace = std::make_shared<NamedConditions<TraceExpectation>>(&TraceExpectation::event, event_type(),
                                                                         "a map of events' names to conditions");
  return section<Expectations>({
      option("metrics", &Expectations::metrics, TypePtr<std::vector<MetricExpectation>>(metrics),
             "What must hold of metrics when the steps are done, as the guest tells them (docs/observation.md); of one "
             "that has shut down by then, the last values that it printed (METRIC name=value). Counters of devices "
             "count, too."),
      option("console", &Expectations::console, list<ConsoleExpectation>(std::make_shared<ConsoleType>(), 0, 1000),
             "Texts that the guest's console must, or must not, have shown."),
      option("console_order", &Expectations::console_order, list<std::string>(console_text(), 0, 1000),
             "Texts that the console must have shown one behind the other; anything may stand between them."),
      option("audit", &Expectations::audit, list<AuditExpectation>(audit_type(), 0, 1000),
             "Records that the guest's audit log must have; needs control.audit (docs/audit.md)."),
      option("trace", &Expectations::trace, TypePtr<std::vector<TraceExpectation>>(trace),
             "How many events of a kind the guest's trace must have; needs observe.trace. Their names are in "
             "docs/observation.md."),
      option("trace_order", &Expectations::trace_order, list<std::string>(event_type(), 0, 1000),
             "Names of events that must come one behind the other, on whichever CPUs; others may come between them."),
      option("guest_exit_code", &Expectations::guest_exit_code, maybe(integer<int>(0, 255)),
             "The code with which the guest shuts down. Without it: 0, if the guest shuts itself down at all."),
      option(
          "end", &Expectations::end,
          maybe(choice<End>({{"panic", End::Panic}, {"boot-config", End::BootConfig}, {"timed-out", End::TimedOut}})),
          "The run is meant to end badly, and how: exit code 4, 5 or 6, whatever its steps came to."),
  });
}

}  // namespace

const TypePtr<Expectations>& expect_type() {
  static const TypePtr<Expectations> type = make_expect_type();
  return type;
}

void check_expectations(Problems& problems, const Node& node, const Scenario& scenario) {
  const Node* const expect = value_of(node, "expect");
  if (expect == nullptr) return;
  if (!scenario.audit && !scenario.expect.audit.empty()) {
    problems.add(place(*expect, "audit"), "expect.audit", "records without a log",
                 "\"control: {audit: true}\" beside it, so that there is one");
  }
  check_events(problems, *expect, scenario);
}

}  // namespace vmm::scenario
