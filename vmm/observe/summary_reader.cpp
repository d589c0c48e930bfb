// Reads summary.json back, for what is told of several runs together.
#include <algorithm>
#include <array>

#include "vmm/observe/summary.hpp"

namespace vmm::observe {
namespace {

using nlohmann::json;

/// The value of which `to_string` says `word`. Throws what nlohmann throws for a wrong value.
template <typename Value, std::size_t kCount>
Value value_of(const json& word, const std::array<Value, kCount>& values) {
  const auto* const found =
      std::ranges::find_if(values, [&](Value value) { return word.get<std::string>() == to_string(value); });
  if (found == values.end()) throw json::other_error::create(500, "unknown word", &word);
  return *found;
}

StepResult step_from(const json& step) {
  return {
      .name = step.at("name"),
      .op = step.at("op"),
      .status = value_of(step.at("status"), std::array{StepStatus::Passed, StepStatus::Failed, StepStatus::Skipped}),
      .duration = std::chrono::nanoseconds(step.at("duration_ns").get<std::int64_t>()),
      .sent = step.at("sent"),
      .replies = step.at("replies"),
      .reply = step.at("reply"),
      .message = step.value("message", "")};
}

ExpectationResult expectation_from(const json& expectation) {
  return {.kind = expectation.at("kind"),
          .subject = expectation.at("subject"),
          .wanted = expectation.at("wanted"),
          .actual = expectation.at("actual"),
          .passed = expectation.at("status") == "passed"};
}

/// Throws what nlohmann throws.
Summary summary_from(const json& value) {
  Summary summary;
  summary.version = value.at("version");
  summary.scenario = value.at("scenario");
  summary.machine = value.at("machine");
  summary.outcome = value_of(value.at("outcome"), std::array{Outcome::Passed, Outcome::Failed, Outcome::Error});
  summary.exit_code = static_cast<abi::ExitCode>(value.at("exit_code").get<int>());
  summary.message = value.at("message");
  summary.duration = std::chrono::nanoseconds(value.at("duration_ns").get<std::int64_t>());
  for (const json& step : value.at("steps")) summary.steps.push_back(step_from(step));
  for (const json& each : value.at("expectations")) summary.expectations.push_back(expectation_from(each));
  value.at("metrics").get_to(summary.metrics);
  value.at("device_counters").get_to(summary.device_counters);
  return summary;
}

}  // namespace

Result<Summary> read_summary(std::string_view text) {
  try {
    return summary_from(json::parse(text));
  } catch (const json::exception& error) {
    return fail(std::string("not a summary of a run: ") + error.what());
  }
}

}  // namespace vmm::observe
