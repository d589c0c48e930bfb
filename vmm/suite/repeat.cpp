#include "vmm/suite/repeat.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace vmm::suite {
namespace {

namespace fs = std::filesystem;
using abi::ExitCode;
using Clock = std::chrono::steady_clock;

constexpr char kKeptPrefix[] = "failed-";

/// The series of that name, made where missing; null where there is no room for another one.
Series* series_of(std::vector<Series>& all, const std::string& name, std::size_t max) {
  const auto found = std::ranges::find(all, name, &Series::name);
  if (found != all.end()) return &*found;
  return all.size() < max ? &all.emplace_back(Series{.name = name, .values = {}}) : nullptr;
}

/// Removes what an earlier repetition has kept in this folder: run directories, which have summaries, of such a name.
void remove_kept(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> old;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const bool ours = it->path().filename().string().starts_with(kKeptPrefix) && !it->is_symlink(ignored) &&
                      fs::exists(it->path() / "summary.json", ignored);
    if (ours) old.push_back(it->path());
  }
  for (const fs::path& path : old) fs::remove_all(path, error);
}

}  // namespace

Repeat::Repeat(EventLoop& loop, RepeatOptions options, RepeatListener& listener)
    : loop_(loop), options_(std::move(options)), listener_(listener) {}

Result<> Repeat::run() {
  remove_kept(options_.folder);
  const auto start_time = Clock::now();
  start();
  if (state_) {
    if (auto ran = loop_.run(); !ran) state_ = std::move(ran);
  }
  duration_ = Clock::now() - start_time;
  return state_;
}

void Repeat::interrupt() {
  interrupted_ = true;
  if (child_) child_->interrupt();
}

void Repeat::start() {
  auto child = ChildRun::start(loop_, options_.arguments, [this](ChildResult result) {
    child_.reset();
    on_end(std::move(result));
  });
  if (child) {
    child_ = std::move(*child);
  } else {
    state_ = std::unexpected(std::move(child.error()));
    loop_.stop();
  }
}

void Repeat::on_end(ChildResult result) {
  // A back end can find out late what this host lacks, and there is a summary then.
  const bool refused = result.exit_code == static_cast<int>(ExitCode::HostLacks) ||
                       (!result.summary && result.exit_code == static_cast<int>(ExitCode::Usage));
  if (refused) {
    state_ = fail(result.message, static_cast<ExitCode>(result.exit_code));
    return loop_.stop();
  }
  RepeatedRun run{.number = static_cast<unsigned>(runs_.size() + 1),
                  .verdict = verdict_of(result),
                  .exit_code = result.exit_code,
                  .message = std::move(result.message),
                  .duration = result.duration,
                  .kept = {}};
  if (result.summary) add(*result.summary);
  const bool passed = run.verdict == Verdict::Passed;
  if (!passed && kept_ < kMaxKept) keep(run);
  runs_.push_back(std::move(run));
  listener_.on_run_ended(runs_.back());
  const bool last = runs_.size() == options_.runs || (options_.until_failure && !passed);
  if (last || interrupted_ || !state_) return loop_.stop();
  start();
}

void Repeat::add(const observe::Summary& summary) {
  for (const auto& step : summary.steps) {
    if (step.status != observe::StepStatus::Passed) continue;
    series_of(steps_, step.name, SIZE_MAX)->values.push_back(step.duration.count());
  }
  const auto add_metric = [this](const std::string& name, std::int64_t value) {
    if (Series* const series = series_of(metrics_, name, kMaxMetrics)) series->values.push_back(value);
  };
  for (const auto& [name, value] : summary.metrics) add_metric(name, value);
  for (const auto& [name, value] : summary.device_counters) {
    if (!summary.metrics.contains(name) && std::in_range<std::int64_t>(value)) {
      add_metric(name, static_cast<std::int64_t>(value));
    }
  }
}

void Repeat::keep(RepeatedRun& run) {
  const fs::path from = run_dir(options_.folder);
  fs::path to = options_.folder / (kKeptPrefix + std::to_string(run.number));
  std::error_code error;
  fs::rename(from, to, error);
  if (!error) {
    ++kept_;
    run.kept = std::move(to);
  } else if (error != std::errc::no_such_file_or_directory) {  // a process that was killed early has made none
    state_ = fail("cannot move " + from.string() + " to " + to.string() + ": " + error.message());
  }
}

std::size_t Repeat::count(Verdict verdict) const {
  return static_cast<std::size_t>(std::ranges::count(runs_, verdict, &RepeatedRun::verdict));
}

int Repeat::exit_code() const {
  if (interrupted_) return static_cast<int>(ExitCode::Interrupted);
  if (!state_) return static_cast<int>(state_.error().exit_code);
  int code = 0;
  for (const RepeatedRun& run : runs_) {
    if (run.verdict != Verdict::Passed) code = worse_exit_code(code, run.exit_code);
  }
  return code;
}

}  // namespace vmm::suite
