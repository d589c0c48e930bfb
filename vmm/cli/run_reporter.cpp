#include "run_reporter.hpp"

#include <unistd.h>

#include <cstdio>

#include "abi/console.hpp"
#include "vmm/cli/format.hpp"

namespace vmm::cli {
namespace {

using observe::Outcome;
using observe::StepStatus;

constexpr std::size_t kMaxEchoBytes = 4096;

}  // namespace

void RunReporter::say(const std::string& line) {
  if (echo_ != Echo::None) output_.write(line + "\n");
}

void RunReporter::on_started(const std::string& name, const std::filesystem::path& run_dir,
                             const machine::BackendInfo& backend) {
  say("machine " + name + " starts on " + backend.name + " (" + backend.accel + "), files in " + run_dir.string());
  if (echo_ == Echo::Raw) say("the terminal is the guest's console; Ctrl-] or Ctrl-A x leaves and stops the machine");
}

void RunReporter::on_live_page(const std::string& url) {
  say("live page: " + url);
  if (echo_ == Echo::None) std::fprintf(stderr, "live page: %s\n", url.c_str());
}

void RunReporter::on_legacy_socket(const std::string& where) {
  say("clients of protocol version 0 connect to " + observe::printable(where));
}

void RunReporter::on_console(std::string_view bytes) {
  if (echo_ == Echo::Raw) output_.write_console(bytes);
  if (echo_ != Echo::Lines) return;
  for (const char c : bytes) {
    if (c == '\n' || line_.size() == kMaxEchoBytes) echo_line();
    if (c != '\n') line_.push_back(c);
  }
}

void RunReporter::echo_line() {
  // Records are for us, and a hostile guest's escape sequences are for nobody.
  if (!line_.starts_with(abi::console::kRecordMark)) {
    const std::string text = observe::printable(line_);
    if (!text.empty()) output_.write_console(coloured(output_, colour::kDim, "  | " + text) + "\n");
  }
  line_.clear();
}

void RunReporter::on_ready(std::chrono::nanoseconds after) {
  if (echo_ == Echo::Lines) say("guest answers after " + format_duration(after));
  on_progress("the guest runs");
}

void RunReporter::on_step(const observe::StepResult& step) {
  const bool passed = step.status == StepStatus::Passed;
  std::string line = passed ? coloured(output_, colour::kGreen, "ok    ") : coloured(output_, colour::kRed, "FAILED");
  line += " step " + padded(observe::printable(step.name), 24) + " " + format_duration(step.duration);
  if (step.sent > 1) line += " for " + std::to_string(step.sent) + " requests";
  if (!passed) line += "  " + observe::printable(step.message);
  say(line);
}

void RunReporter::on_warning(const std::string& message) {
  say(coloured(output_, colour::kRed, "warning") + " " + observe::printable(message));
}

void RunReporter::on_stopping(const std::string& why) {
  say("stopping: " + observe::printable(why));
  on_progress("the guest shuts down");
}

void RunReporter::on_progress(const std::string& doing) {
  doing_ = doing;
  since_ = Clock::now();
}

void RunReporter::show_progress() {
  const auto now = Clock::now();
  if (echo_ != Echo::Lines || now - started_ < std::chrono::seconds(1)) return;
  std::string text = observe::printable(doing_) + ": " + format_seconds(now - since_);
  if (since_ != started_) text += ", " + format_seconds(now - started_) + " in all";
  output_.set_status(coloured(output_, colour::kDim, text));
}

void RunReporter::on_finished(const observe::Summary& summary, const std::filesystem::path& run_dir,
                              const std::string& panic_report) {
  if (release_terminal_) release_terminal_();
  output_.set_status("");
  if (!line_.empty()) echo_line();
  if (echo_ == Echo::Raw) output_.write("\n");
  for (const auto& expectation : summary.expectations) {
    std::string line =
        expectation.passed ? coloured(output_, colour::kGreen, "ok    ") : coloured(output_, colour::kRed, "FAILED");
    line += " expected " + expectation.kind + " " + observe::printable(expectation.subject) + ": " +
            observe::printable(expectation.wanted) + ", actual " +
            expectation.actual.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    say(line);
  }
  // The standard error comes after what was written before, even when both are one terminal.
  output_.drain();
  if (!panic_report.empty()) {
    std::string text = "\n";
    for (std::size_t at = 0; at < panic_report.size();) {
      const auto end = std::min(panic_report.find('\n', at), panic_report.size());
      text += observe::printable(panic_report.substr(at, end - at)) + "\n";
      at = end + 1;
    }
    std::fputs(text.c_str(), stderr);
  }
  const bool passed = summary.outcome == Outcome::Passed;
  const bool colour = passed || ::isatty(STDERR_FILENO) == 1;
  const std::string outcome = to_string(summary.outcome);
  std::string last = (colour ? coloured(output_, passed ? colour::kGreen : colour::kRed, outcome) : outcome) + ": " +
                     observe::printable(summary.scenario);
  if (!passed && observe::ended_as_expected(summary)) last += ", as expected";
  if (!summary.message.empty()) last += ": " + observe::printable(summary.message);
  last += " (exit " + std::to_string(static_cast<int>(summary.exit_code)) + ", " + format_duration(summary.duration) +
          ", files in " + run_dir.string() + ")";
  if (passed) {
    say(last);
  } else {
    std::fputs((last + "\n").c_str(), stderr);
  }
  std::fflush(stderr);
}

}  // namespace vmm::cli
