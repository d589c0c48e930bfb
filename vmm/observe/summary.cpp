#include "vmm/observe/summary.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace vmm::observe {
namespace {

using nlohmann::ordered_json;

ordered_json step_json(const StepResult& step) {
  ordered_json json{{"name", step.name},
                    {"op", step.op},
                    {"status", to_string(step.status)},
                    {"duration_ns", step.duration.count()},
                    {"sent", step.sent},
                    {"replies", step.replies},
                    {"reply", step.reply}};
  if (!step.message.empty()) json["message"] = step.message;
  return json;
}

ordered_json expectation_json(const ExpectationResult& expectation) {
  return {{"kind", expectation.kind},
          {"subject", expectation.subject},
          {"wanted", expectation.wanted},
          {"actual", expectation.actual},
          {"status", expectation.passed ? "passed" : "failed"}};
}

}  // namespace

std::string time_text(std::chrono::system_clock::time_point time) {
  using namespace std::chrono;
  // gmtime() would read the files of the time zone first.
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(time - day));
  std::array<char, 64> text;
  const int length = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::Passed:
      return "passed";
    case Outcome::Failed:
      return "failed";
    case Outcome::Error:
      return "error";
  }
  return "error";
}

const char* to_string(StepStatus status) {
  switch (status) {
    case StepStatus::Passed:
      return "passed";
    case StepStatus::Failed:
      return "failed";
    case StepStatus::Skipped:
      return "skipped";
  }
  return "skipped";
}

bool ended_as_expected(const Summary& summary) {
  const bool meant_to_end_badly =
      std::ranges::any_of(summary.expectations, [](const auto& each) { return each.kind == kEndExpectation; });
  if (!meant_to_end_badly) return summary.outcome == Outcome::Passed;
  return std::ranges::all_of(summary.expectations, &ExpectationResult::passed);
}

ordered_json to_json(const Summary& summary) {
  ordered_json json{
      {"version", summary.version},
      {"scenario", summary.scenario},
      {"machine", summary.machine},
      {"outcome", to_string(summary.outcome)},
      {"exit_code", static_cast<int>(summary.exit_code)},
      {"message", summary.message},
      {"backend", summary.backend},
      {"backend_version", summary.backend_version},
      {"accel", summary.accel},
      {"cpus", summary.cpus},
      {"memory_bytes", summary.memory_bytes},
      {"started", time_text(summary.started)},
      {"duration_ns", summary.duration.count()},
      {"boot_host_ns", nullptr},
      {"boot_guest_ns", nullptr},
      {"guest_exit", nullptr},
      {"reboots", summary.reboots},
      {"killed", summary.killed},
      {"warnings", summary.warnings},
      {"warnings_left_out", summary.warnings_left_out},
      {"steps", ordered_json::array()},
      {"expectations", ordered_json::array()},
      {"metrics", summary.metrics},
      {"device_counters", summary.device_counters},
      {"console",
       {{"bytes", summary.console_bytes},
        {"bytes_not_logged", summary.console_bytes_not_logged},
        {"malformed_lines", summary.console_malformed_lines}}},
  };
  if (!summary.files.empty()) json["files"] = summary.files;
  if (!summary.legacy_socket.empty()) json["legacy_socket"] = summary.legacy_socket;
  if (summary.boot_host) json["boot_host_ns"] = summary.boot_host->count();
  if (summary.boot_guest_ns) json["boot_guest_ns"] = *summary.boot_guest_ns;
  if (summary.guest_exit) {
    json["guest_exit"] = {{"kind", to_string(summary.guest_exit->kind)}, {"code", summary.guest_exit->code}};
  }
  for (const auto& step : summary.steps) json["steps"].push_back(step_json(step));
  for (const auto& expectation : summary.expectations) json["expectations"].push_back(expectation_json(expectation));
  return json;
}

std::string to_text(const ordered_json& json) {
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace vmm::observe
