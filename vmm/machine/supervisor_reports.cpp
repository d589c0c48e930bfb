// What is left of a run: its summary and the files that say so.
#include <algorithm>
#include <iterator>

#include "abi/console.hpp"
#include "audit_stream.hpp"
#include "legacy_socket.hpp"
#include "observe_stream.hpp"
#include "vmm/base/file.hpp"
#include "vmm/machine/audit_expectations.hpp"
#include "vmm/machine/supervisor.hpp"

namespace vmm::machine {
namespace {

/// More than the last line of an audit.jsonl has.
constexpr std::size_t kLastLineBytes = 4096;

}  // namespace

void Supervisor::end_audit() {
  if (!audit_) return;
  const auto record = watch_.exit_record();
  audit_->close(record ? observe::to_string(record->kind) : "killed", reboots_ + 1);
}

Result<> Supervisor::write_observed(observe::Summary& summary) {
  if (!observe_) return {};
  auto files = observe_->write(summary, stopping_, run_dir_.path());
  if (!files) return std::unexpected(std::move(files.error()));
  summary.files = std::move(*files);
  return {};
}

std::vector<observe::ExpectationResult> Supervisor::evaluate_audit_log() {
  const auto lines = read_file(run_dir_.path_of(file::kAudit), AuditStream::kMaxBytes + kLastLineBytes);
  if (!lines) on_warning("the audit log cannot be held against what is expected of it: " + lines.error().message);
  return evaluate_audit(options_.scenario.expect.audit, lines ? *lines : std::string());
}

observe::Summary Supervisor::summarise() {
  const auto& scenario = options_.scenario;
  const BackendInfo info = backend_->info();
  observe::Summary summary;
  summary.version = options_.version;
  summary.scenario = scenario.name;
  summary.machine = run_dir_.name();
  summary.backend = info.name;
  summary.backend_version = info.version;
  if (legacy_socket_) summary.legacy_socket = legacy_socket_->where();
  summary.accel = info.accel;
  summary.cpus = scenario.machine.cpus;
  summary.memory_bytes = scenario.machine.memory_bytes;
  summary.started = start_wall_;
  summary.duration = duration_;
  summary.boot_host = boot_host_;
  summary.boot_guest_ns = watch_.metrics().get(abi::console::kMetricBootToControl);
  summary.guest_exit = watch_.exit_record();
  summary.reboots = reboots_;
  summary.killed = facts_.killed;
  summary.steps = steps_;
  std::size_t position = 0;
  for (const auto& step : scenario.steps) {
    for (const auto& request : step.requests) {
      if (position++ < steps_.size()) continue;
      observe::StepResult& skipped = summary.steps.emplace_back();
      skipped.name = request.name;
      skipped.op = request.op;
      skipped.message = "the run ended before it";
    }
  }
  summary.metrics = watch_.metrics().all();
  summary.device_counters = backend_->counters();
  summary.console_bytes = console_->bytes();
  summary.console_bytes_not_logged = console_->bytes_not_logged();
  summary.console_malformed_lines = watch_.malformed();
  for (const auto& [name, value] : final_metrics_.values) summary.metrics[name] = value;
  Evidence evidence{.console_seen = {}, .console_in_order = order_.found(), .samples = final_metrics_.samples};
  for (std::size_t i = 0; i < scenario.expect.console.size(); ++i) evidence.console_seen.push_back(texts_.seen(i));
  summary.expectations = evaluate_expectations(scenario.expect, summary, evidence);
  if (!scenario.expect.audit.empty()) std::ranges::move(evaluate_audit_log(), std::back_inserter(summary.expectations));
  if (observe_) std::ranges::move(observe_->evaluate(scenario.expect), std::back_inserter(summary.expectations));

  summary.warnings = warnings_;
  summary.warnings_left_out = warnings_left_out_;
  facts_.record = watch_.exit_record();
  facts_.boot_config_line = watch_.boot_config_line();
  facts_.panic_reason = watch_.panic_reason();
  facts_.last_console_lines = watch_.last_lines(5);
  if (scenario.steps.empty()) facts_.steps_done = true;
  judge(facts_, summary);
  judge_end(scenario.expect.end, summary);
  return summary;
}

Result<> Supervisor::write_reports(const observe::Summary& summary, const std::string& panic_report) {
  if (!panic_report.empty()) {
    if (auto done = write_file(run_dir_.path_of(file::kPanic), panic_report); !done) return done;
  }
  if (auto done = write_file(run_dir_.path_of(file::kSummary), observe::to_text(observe::to_json(summary))); !done)
    return done;
  return write_file(run_dir_.path_of(file::kJunit), observe::to_junit(summary));
}

}  // namespace vmm::machine
