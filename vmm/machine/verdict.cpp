#include "vmm/machine/verdict.hpp"

#include "vmm/observe/time_histogram.hpp"
#include "vmm/scenario/condition.hpp"

namespace vmm::machine {
namespace {

using abi::ExitCode;
using observe::ExitRecord;
using observe::Outcome;
using observe::StepStatus;

struct Decision {
  Outcome outcome;
  ExitCode exit_code;
  std::string message;
};

Decision error(ExitCode code, std::string message) { return {Outcome::Error, code, std::move(message)}; }

std::string with_console(const std::string& message, const RunFacts& facts) {
  if (facts.last_console_lines.empty()) return message + "; the console is empty";
  return message + "; the console's last lines: " + facts.last_console_lines;
}

/// What ended the run before it could come to a verdict; nothing if it did.
std::optional<Decision> find_error(const RunFacts& facts) {
  using Kind = ExitRecord::Kind;
  if ((facts.record && facts.record->kind == Kind::Panic) || facts.backend_saw_panic) {
    return error(ExitCode::GuestPanic,
                 "the guest panicked" + (facts.panic_reason.empty() ? "" : ": " + facts.panic_reason));
  }
  if (facts.record && facts.record->kind == Kind::BootConfig) {
    return error(ExitCode::BootConfig, "the guest refused its boot configuration: " + facts.boot_config_line);
  }
  if (!facts.exited) return error(facts.exited.error().exit_code, facts.exited.error().message);
  switch (facts.cause) {
    case StopCause::Interrupted:
      return error(ExitCode::Interrupted, "interrupted by " + facts.detail);
    case StopCause::Requested:
      if (!facts.steps_done) return error(ExitCode::Interrupted, "stopped on request before its steps were done");
      break;
    case StopCause::Left:
      if (!facts.steps_done) return error(ExitCode::Interrupted, "left before its steps were done");
      break;
    case StopCause::BootTimeout:
    case StopCause::RunTimeout:
      return error(ExitCode::TimedOut, with_console(facts.detail, facts));
    case StopCause::NoControl:
      return error(ExitCode::Internal, with_console(facts.detail, facts));
    case StopCause::None:
    case StopCause::Done:
      break;
  }
  if (facts.killed) {
    return error(ExitCode::TimedOut, with_console("the guest did not shut down in time and was killed", facts));
  }
  if (!facts.ready && facts.cause == StopCause::None && !facts.record) {
    return error(ExitCode::Internal,
                 with_console("the guest powered off before its control server was up, without a reason", facts));
  }
  return std::nullopt;
}

/// As scenarios name them; those that none can expect, too.
const char* end_word(ExitCode code) {
  switch (code) {
    case ExitCode::Passed:
      return "passed";
    case ExitCode::Failed:
      return "failed";
    case ExitCode::GuestPanic:
      return "panic";
    case ExitCode::BootConfig:
      return "boot-config";
    case ExitCode::TimedOut:
      return "timed-out";
    case ExitCode::Interrupted:
      return "interrupted";
    case ExitCode::Usage:
    case ExitCode::HostLacks:
    case ExitCode::Internal:
      break;
  }
  return "error";
}

observe::ExpectationResult evaluate_metric(const scenario::MetricExpectation& wanted, const observe::Summary& summary,
                                           const Evidence& evidence) {
  nlohmann::json value;
  if (const auto metric = summary.metrics.find(wanted.metric); metric != summary.metrics.end()) {
    value = metric->second;
  } else if (const auto counter = summary.device_counters.find(wanted.metric);
             counter != summary.device_counters.end()) {
    value = counter->second;
  }
  const auto verdict = scenario::evaluate(wanted.condition, value.is_null() ? nullptr : &value);
  const auto samples = evidence.samples.find(wanted.metric);
  const auto percentile = observe::percentile_metric(wanted.metric);
  if (value.is_null() && percentile && samples != evidence.samples.end()) {
    value = "absent: " + std::to_string(samples->second) + " samples, and it takes " +
            std::to_string(percentile->samples_needed);
  }
  return {"metric", wanted.metric, verdict.wanted, value, verdict.passed};
}

}  // namespace

void judge(const RunFacts& facts, observe::Summary& summary) {
  const auto decide = [&]() -> Decision {
    if (auto found = find_error(facts)) return std::move(*found);
    for (const auto& step : summary.steps) {
      if (step.status == StepStatus::Failed) {
        return {Outcome::Failed, ExitCode::Failed, "step " + step.name + ": " + step.message};
      }
    }
    for (const auto& step : summary.steps) {
      if (step.status == StepStatus::Skipped) {
        return {Outcome::Failed, ExitCode::Failed, "step " + step.name + " was not run: " + step.message};
      }
    }
    for (const auto& expectation : summary.expectations) {
      if (!expectation.passed) {
        return {Outcome::Failed, ExitCode::Failed,
                "expected of " + expectation.kind + " " + expectation.subject + ": " + expectation.wanted +
                    ", actual " + expectation.actual.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
      }
    }
    return {Outcome::Passed, ExitCode::Passed, ""};
  };
  auto decision = decide();
  summary.outcome = decision.outcome;
  summary.exit_code = decision.exit_code;
  summary.message = std::move(decision.message);
}

void judge_end(std::optional<scenario::End> wanted, observe::Summary& summary) {
  if (!wanted) return;
  const ExitCode code = *wanted == scenario::End::Panic        ? ExitCode::GuestPanic
                        : *wanted == scenario::End::BootConfig ? ExitCode::BootConfig
                                                               : ExitCode::TimedOut;
  const std::string actual = end_word(summary.exit_code);
  const bool held = summary.exit_code == code;
  summary.expectations.push_back({observe::kEndExpectation, "", end_word(code), actual, held});
  if (held || summary.exit_code != ExitCode::Passed) return;
  summary.outcome = Outcome::Failed;
  summary.exit_code = ExitCode::Failed;
  summary.message = std::string("expected of the run's end: ") + end_word(code) + ", actual " + actual;
}

observe::ExpectationResult evaluate_order(const char* kind, const std::vector<std::string>& wanted, std::size_t found) {
  std::string words;
  for (const std::string& one : wanted) words += (words.empty() ? "" : ", then ") + nlohmann::json(one).dump();
  if (found == wanted.size()) return {kind, "", words, "in this order", true};
  const std::string missing = nlohmann::json(wanted[found]).dump();
  const std::string actual = found == 0 ? "no " + missing : "no " + missing + " after number " + std::to_string(found);
  return {kind, "", words, actual, false};
}

std::vector<observe::ExpectationResult> evaluate_expectations(const scenario::Expectations& expect,
                                                              const observe::Summary& summary,
                                                              const Evidence& evidence) {
  std::vector<observe::ExpectationResult> results;
  results.reserve(expect.metrics.size() + expect.console.size() + 2);
  for (const auto& wanted : expect.metrics) results.push_back(evaluate_metric(wanted, summary, evidence));
  for (std::size_t i = 0; i < expect.console.size(); ++i) {
    const auto& wanted = expect.console[i];
    const bool seen = i < evidence.console_seen.size() && evidence.console_seen[i];
    results.push_back({"console", wanted.text, wanted.present ? "present" : "absent", seen ? "present" : "absent",
                       seen == wanted.present});
  }
  if (!expect.console_order.empty())
    results.push_back(evaluate_order("console_order", expect.console_order, evidence.console_in_order));
  // A guest that shuts down by itself says with which code; any but the expected one is a failure.
  const bool shut_down = summary.guest_exit && summary.guest_exit->kind == ExitRecord::Kind::Shutdown;
  if (expect.guest_exit_code || (shut_down && summary.guest_exit->code != 0)) {
    const int wanted = expect.guest_exit_code.value_or(0);
    nlohmann::json actual;
    if (shut_down) actual = summary.guest_exit->code;
    results.push_back({"guest_exit_code", "", std::to_string(wanted), actual, shut_down && actual == wanted});
  }
  return results;
}

}  // namespace vmm::machine
