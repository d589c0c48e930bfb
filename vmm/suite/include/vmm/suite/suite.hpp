// Several scenarios, each run by a process of its own, some at the same time.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/event_loop.hpp"
#include "vmm/observe/summary.hpp"
#include "vmm/suite/child_run.hpp"

namespace vmm::suite {

/// One scenario to run.
struct Item {
  std::string name;                    ///< unique in the suite
  std::filesystem::path file;          ///< for reports
  std::filesystem::path run_dir;       ///< for reports
  std::vector<std::string> arguments;  ///< of the process: the program, run, the file, --json, ...
};

enum class Verdict : std::uint8_t {
  Passed,   ///< ended as the scenario says
  Failed,   ///< came to its end, but a step or an expectation did not hold
  Error,    ///< did not come to its end, or was not started
  Skipped,  ///< this host cannot run it, or the suite was interrupted before its turn
};
const char* to_string(Verdict verdict);
Verdict verdict_of(const ChildResult& result);

/// What came of one item.
struct ItemResult {
  Verdict verdict = Verdict::Skipped;
  int exit_code = 0;  ///< of the process; 0 if it was not started
  std::string message;
  std::chrono::nanoseconds duration{0};
  std::optional<observe::Summary> summary;
};

/// Told of a suite while it goes on, on the loop.
class SuiteListener {
 public:
  virtual ~SuiteListener() = default;
  virtual void on_ended(const Item& item, const ItemResult& result) = 0;
};

/// In the main thread (ChildRun).
class Suite {
 public:
  /// @param jobs how many run at the same time, at least 1
  /// @param loop, listener outlive the suite
  Suite(EventLoop& loop, std::vector<Item> items, unsigned jobs, SuiteListener& listener);

  /// Runs all. Fails only if the loop does.
  Result<> run();

  /// Starts no more, and ends those that run in order; with the second call at once.
  void interrupt();

  /// One that runs now.
  struct Running {
    const std::string* name;
    std::chrono::nanoseconds since;
  };
  [[nodiscard]] std::vector<Running> running() const;
  [[nodiscard]] std::size_t ended() const { return ended_; }

  [[nodiscard]] const std::vector<Item>& items() const { return items_; }
  /// In the order of the items; complete after run().
  [[nodiscard]] const std::vector<ItemResult>& results() const { return results_; }
  [[nodiscard]] std::chrono::nanoseconds duration() const { return duration_; }

  /// The code of the worst result; HostLacks when all were skipped; Interrupted after interrupt().
  [[nodiscard]] int exit_code() const;

 private:
  void start_more();
  void start(std::size_t index);
  void finish(std::size_t index, ItemResult result);

  EventLoop& loop_;
  std::vector<Item> items_;
  unsigned jobs_;
  SuiteListener& listener_;
  std::vector<ItemResult> results_;
  std::vector<std::unique_ptr<ChildRun>> children_;  ///< [items_.size()]: null unless it runs
  std::size_t next_ = 0;
  std::size_t running_ = 0;
  std::size_t ended_ = 0;
  bool interrupted_ = false;
  std::chrono::nanoseconds duration_{0};
};

/// The more telling one of two exit codes of runs, as docs/exit-codes.md orders them.
int worse_exit_code(int a, int b);

struct Count {
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t errors = 0;
  std::size_t skipped = 0;
};
Count count(const std::vector<ItemResult>& results);

/// suite.json: what came of each, and of all.
nlohmann::ordered_json to_json(const Suite& suite);

/// As observe::to_junit() of suites wants them.
std::vector<observe::SuiteCase> to_cases(const Suite& suite);

}  // namespace vmm::suite
