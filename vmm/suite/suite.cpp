#include "vmm/suite/suite.hpp"

#include <algorithm>
#include <array>

namespace vmm::suite {
namespace {

using abi::ExitCode;
using Clock = std::chrono::steady_clock;

}  // namespace

Verdict verdict_of(const ChildResult& result) {
  if (result.exit_code == static_cast<int>(ExitCode::HostLacks)) return Verdict::Skipped;
  if (result.summary && observe::ended_as_expected(*result.summary)) return Verdict::Passed;
  return result.exit_code == static_cast<int>(ExitCode::Failed) ? Verdict::Failed : Verdict::Error;
}

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Passed:
      return "passed";
    case Verdict::Failed:
      return "failed";
    case Verdict::Error:
      return "error";
    case Verdict::Skipped:
      return "skipped";
  }
  return "error";
}

int worse_exit_code(int a, int b) {
  static constexpr std::array kWorstFirst = {ExitCode::Interrupted, ExitCode::Internal, ExitCode::GuestPanic,
                                             ExitCode::BootConfig,  ExitCode::TimedOut, ExitCode::Usage,
                                             ExitCode::HostLacks,   ExitCode::Failed,   ExitCode::Passed};
  // A code that is none of ours is the worst: nobody knows what it means.
  for (const int code : {a, b}) {
    if (std::ranges::find(kWorstFirst, static_cast<ExitCode>(code)) == kWorstFirst.end()) return code;
  }
  for (const ExitCode code : kWorstFirst) {
    if (a == static_cast<int>(code) || b == static_cast<int>(code)) return static_cast<int>(code);
  }
  return a;
}

Suite::Suite(EventLoop& loop, std::vector<Item> items, unsigned jobs, SuiteListener& listener)
    : loop_(loop),
      items_(std::move(items)),
      jobs_(jobs),
      listener_(listener),
      results_(items_.size()),
      children_(items_.size()) {}

Result<> Suite::run() {
  const auto start = Clock::now();
  start_more();
  if (ended_ < items_.size()) {
    if (auto ran = loop_.run(); !ran) return ran;
  }
  duration_ = Clock::now() - start;
  return {};
}

void Suite::start_more() {
  while (next_ < items_.size() && running_ < jobs_) {
    const std::size_t index = next_++;
    if (interrupted_) {
      finish(index, {.message = "interrupted before its turn", .summary = std::nullopt});
    } else {
      start(index);
    }
  }
  if (ended_ == items_.size()) loop_.stop();
}

void Suite::start(std::size_t index) {
  auto child = ChildRun::start(loop_, items_[index].arguments, [this, index](ChildResult result) {
    --running_;
    children_[index].reset();
    const Verdict verdict = verdict_of(result);
    finish(index, {.verdict = verdict,
                   .exit_code = result.exit_code,
                   .message = std::move(result.message),
                   .duration = result.duration,
                   .summary = std::move(result.summary)});
    start_more();
  });
  if (!child) {
    return finish(index, {.verdict = Verdict::Error,
                          .exit_code = static_cast<int>(child.error().exit_code),
                          .message = child.error().message,
                          .summary = std::nullopt});
  }
  ++running_;
  children_[index] = std::move(*child);
}

void Suite::finish(std::size_t index, ItemResult result) {
  ++ended_;
  results_[index] = std::move(result);
  listener_.on_ended(items_[index], results_[index]);
}

void Suite::interrupt() {
  interrupted_ = true;
  for (const auto& child : children_) {
    if (child) child->interrupt();
  }
}

std::vector<Suite::Running> Suite::running() const {
  std::vector<Running> names;
  for (std::size_t i = 0; i < children_.size(); ++i) {
    if (children_[i]) names.push_back({.name = &items_[i].name, .since = Clock::now() - children_[i]->started()});
  }
  return names;
}

int Suite::exit_code() const {
  if (interrupted_) return static_cast<int>(ExitCode::Interrupted);
  int code = 0;
  bool any = false;
  for (const ItemResult& result : results_) {
    if (result.verdict == Verdict::Skipped) continue;
    any = true;
    if (result.verdict != Verdict::Passed) code = worse_exit_code(code, result.exit_code);
  }
  return any ? code : static_cast<int>(ExitCode::HostLacks);
}

}  // namespace vmm::suite
