#include "vmm/machine/trace_expectations.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>

#include "abi/trace.hpp"
#include "vmm/machine/verdict.hpp"
#include "vmm/scenario/condition.hpp"

namespace vmm::machine {
namespace {

using abi::trace::kTypes;
using abi::trace::Record;

/// kTypes: there is none of that name.
std::size_t type_of(std::string_view event) {
  const auto* const found = std::ranges::find(abi::trace::kDescriptions, event, &abi::trace::Description::name);
  return static_cast<std::size_t>(found - std::begin(abi::trace::kDescriptions));
}

/// An event, in the order of its time, then of the records.
struct Seen {
  std::uint64_t time_ns;
  std::size_t position;
  std::size_t type;
  auto operator<=>(const Seen&) const = default;
};

struct Tally {
  std::array<std::uint64_t, kTypes> counts{};
  bool gaps = false;
};

Tally count(const observe::TraceRecords& records) {
  Tally tally{.gaps = records.dropped() != 0 || records.malformed() != 0};
  records.for_each([&](const Record& record) {
    if (record.type < kTypes) {
      ++tally.counts[record.type];
    } else {
      tally.gaps = true;  // TraceRecords::kGap
    }
  });
  return tally;
}

/// How many of the events come one behind the other, from the first on. Events of several CPUs lie in the records one
/// CPU after the other.
std::size_t in_order(const std::vector<std::string>& events, const observe::TraceRecords& records) {
  std::array<bool, kTypes> wanted{};
  for (const std::string& event : events) {
    if (const std::size_t type = type_of(event); type < kTypes) wanted[type] = true;
  }
  std::vector<Seen> seen;
  records.for_each([&](const Record& record) {
    if (record.type < kTypes && wanted[record.type]) seen.push_back({record.time_ns, seen.size(), record.type});
  });
  std::ranges::sort(seen);
  std::size_t found = 0;
  for (const Seen& event : seen) {
    if (found < events.size() && event.type == type_of(events[found])) ++found;
  }
  return found;
}

}  // namespace

std::vector<observe::ExpectationResult> evaluate_trace(const scenario::Expectations& expect,
                                                       const observe::TraceRecords& records, bool complete) {
  std::vector<observe::ExpectationResult> results;
  if (!expect.trace.empty()) {
    const Tally tally = count(records);
    const bool whole = complete && !tally.gaps;
    for (const auto& wanted : expect.trace) {
      const std::size_t type = type_of(wanted.event);
      nlohmann::json actual = type < kTypes ? tally.counts[type] : 0;
      const auto verdict = scenario::evaluate(wanted.condition, &actual);
      if (!whole) actual = actual.dump() + " in a trace that is not whole";
      results.push_back({"trace", wanted.event, verdict.wanted, actual, whole && verdict.passed});
    }
  }
  if (!expect.trace_order.empty()) {
    results.push_back(evaluate_order("trace_order", expect.trace_order, in_order(expect.trace_order, records)));
  }
  return results;
}

}  // namespace vmm::machine
