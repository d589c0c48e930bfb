// One scenario many times, one run after the other.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/observe/distribution.hpp"
#include "vmm/observe/summary.hpp"
#include "vmm/suite/child_run.hpp"
#include "vmm/suite/suite.hpp"

namespace vmm::suite {

struct RepeatOptions {
  unsigned runs = 1;
  bool until_failure = false;          ///< the first run that does not pass is the last one
  std::filesystem::path folder;        ///< of all runs
  std::vector<std::string> arguments;  ///< of the process of each run, whose run directory is Repeat::run_dir(folder)
};

/// What came of one run.
struct RepeatedRun {
  unsigned number = 0;  ///< from 1
  Verdict verdict = Verdict::Error;
  int exit_code = 0;
  std::string message;  ///< why it did not pass, or how badly it ended as it was meant to
  std::chrono::nanoseconds duration{0};
  std::filesystem::path kept;  ///< its files; empty: not kept
};

/// Told of a repetition while it goes on, on the loop.
class RepeatListener {
 public:
  virtual ~RepeatListener() = default;
  /// Not called for one that could not be started: run() says why.
  virtual void on_run_ended(const RepeatedRun& run) = 0;
};

/// A figure that each run has one of.
struct Series {
  std::string name;
  std::vector<std::int64_t> values;
};

/// In the main thread (ChildRun). All runs have the same run directory, so that a thousand of them take no more room
/// than one; that of a run which did not pass is moved to FOLDER/failed-NUMBER, of the first kMaxKept.
class Repeat {
 public:
  static constexpr std::size_t kMaxKept = 20;
  static constexpr unsigned kMaxRuns = 10'000;
  /// Names of metrics; what a guest invents beyond them has no statistics.
  static constexpr std::size_t kMaxMetrics = 4096;

  static std::filesystem::path run_dir(const std::filesystem::path& folder) { return folder / "run"; }

  /// @param loop, listener outlive it
  Repeat(EventLoop& loop, RepeatOptions options, RepeatListener& listener);

  /// Runs all, and stops at one that could not be started, since the next could not either. The error is why (as that
  /// run told it), or that the loop or moving a folder failed; what the runs before came to is there all the same.
  Result<> run();
  /// No further run; ends the present one in order, with the second call at once.
  void interrupt();

  [[nodiscard]] const RepeatOptions& options() const { return options_; }
  [[nodiscard]] const std::vector<RepeatedRun>& runs() const { return runs_; }
  [[nodiscard]] std::size_t count(Verdict verdict) const;
  /// Durations of steps that passed, in nanoseconds, in the order of the scenario.
  [[nodiscard]] const std::vector<Series>& steps() const { return steps_; }
  /// Metrics and counters of devices at the end of each run that came to a summary.
  [[nodiscard]] const std::vector<Series>& metrics() const { return metrics_; }
  [[nodiscard]] std::chrono::nanoseconds duration() const { return duration_; }
  /// Of the worst run that did not pass, or of what run() failed with; Interrupted after interrupt().
  [[nodiscard]] int exit_code() const;

 private:
  void start();
  void on_end(ChildResult result);
  void add(const observe::Summary& summary);
  void keep(RepeatedRun& run);

  EventLoop& loop_;
  RepeatOptions options_;
  RepeatListener& listener_;
  std::unique_ptr<ChildRun> child_;
  std::vector<RepeatedRun> runs_;
  std::size_t kept_ = 0;
  std::vector<Series> steps_;
  std::vector<Series> metrics_;
  Result<> state_;  ///< its error: why there is no further run
  bool interrupted_ = false;
  std::chrono::nanoseconds duration_{0};
};

/// repeat.json: outcomes, statistics, and what came of each run.
nlohmann::ordered_json to_json(const Repeat& repeat);

}  // namespace vmm::suite
