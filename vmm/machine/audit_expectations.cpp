#include "vmm/machine/audit_expectations.hpp"

#include <array>
#include <string>

#include "vmm/machine/audit_lines.hpp"
#include "vmm/scenario/condition.hpp"

namespace vmm::machine {
namespace {

using nlohmann::json;
using scenario::AuditExpectation;

/// The fields of a record that an expectation can name.
struct Field {
  const char* name;
  std::optional<scenario::Condition> AuditExpectation::* condition;
};
constexpr std::array kFields = {
    Field{"event", &AuditExpectation::event},
    Field{"op", &AuditExpectation::op},
    Field{"code", &AuditExpectation::code},
    Field{"caller", &AuditExpectation::caller},
};

bool matches(const AuditExpectation& wanted, const json& record) {
  return std::ranges::all_of(kFields, [&](const Field& field) {
    const auto& condition = wanted.*field.condition;
    if (!condition) return true;
    const auto value = record.find(field.name);
    return scenario::evaluate(*condition, value == record.end() ? nullptr : &*value).passed;
  });
}

/// "event call-done, op ping"
std::string subject_of(const AuditExpectation& wanted) {
  std::string words;
  for (const Field& field : kFields) {
    const auto& condition = wanted.*field.condition;
    if (condition)
      words += (words.empty() ? "" : ", ") + std::string(field.name) + ' ' + scenario::describe(*condition);
  }
  return words.empty() ? "all records" : words;
}

/// Records that match each expectation, and whether all are there that should be.
struct Tally {
  std::vector<std::uint64_t> counts;
  bool gaps = false;
  bool ended = false;

  void take(const std::vector<AuditExpectation>& wanted, const json& line) {
    if (line.contains("sequence")) {
      for (std::size_t i = 0; i < wanted.size(); ++i) counts[i] += matches(wanted[i], line) ? 1 : 0;
    } else if (const auto end = line.find("end"); end != line.end()) {
      ended = *end != AuditLines::kReboot;
      if (*end == AuditLines::kNotFollowed) gaps = true;
    } else if (!line.is_object() || line.contains("lost")) {
      gaps = true;
    }
  }
};

Tally count(const std::vector<AuditExpectation>& wanted, std::string_view lines) {
  Tally tally{.counts = std::vector<std::uint64_t>(wanted.size())};
  while (!lines.empty()) {
    const std::size_t length = std::min(lines.find('\n'), lines.size());
    tally.take(wanted, json::parse(lines.substr(0, length), nullptr, false));
    lines.remove_prefix(std::min(length + 1, lines.size()));
  }
  return tally;
}

}  // namespace

std::vector<observe::ExpectationResult> evaluate_audit(const std::vector<AuditExpectation>& wanted,
                                                       std::string_view lines) {
  static const scenario::Condition kAtLeastOne{.min = 1};
  std::vector<observe::ExpectationResult> results;
  if (wanted.empty()) return results;
  const Tally tally = count(wanted, lines);
  const bool whole = tally.ended && !tally.gaps;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    json actual = tally.counts[i];
    const auto verdict = scenario::evaluate(wanted[i].count.value_or(kAtLeastOne), &actual);
    if (!whole) actual = std::to_string(tally.counts[i]) + " in a log that is not whole";
    results.push_back({"audit", subject_of(wanted[i]), verdict.wanted + " times", actual, whole && verdict.passed});
  }
  return results;
}

}  // namespace vmm::machine
