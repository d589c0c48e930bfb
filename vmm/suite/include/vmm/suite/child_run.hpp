// A run of a scenario by a process of its own.
#pragma once

#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/subprocess.hpp"
#include "vmm/observe/summary.hpp"

namespace vmm::suite {

/// What came of it.
struct ChildResult {
  int exit_code = 0;                        ///< docs/exit-codes.md; 7 for a process that was killed
  std::optional<observe::Summary> summary;  ///< absent: the machine was not started, or the process was killed
  std::string message;                      ///< why it did not pass; several lines for a file with several problems
  std::chrono::nanoseconds duration{0};     ///< of the process
};

/// `sisvmm run ... --json`, of which the standard output is the summary and the standard error says what went wrong.
/// On the loop's thread, which must be the main thread: the child ends with it.
class ChildRun {
 public:
  /// @param arguments the program and what follows; --json is among them
  /// @param on_end called once, on the loop; may destroy the ChildRun
  /// Errors: no process, no temporary file.
  static Result<std::unique_ptr<ChildRun>> start(EventLoop& loop, const std::vector<std::string>& arguments,
                                                 std::function<void(ChildResult)> on_end);
  /// Kills a process that has not ended.
  ~ChildRun();
  ChildRun(const ChildRun&) = delete;
  ChildRun& operator=(const ChildRun&) = delete;

  /// Asks it to end in order, as Ctrl-C does; the second time it ends at once, and from the third on it is killed.
  void interrupt();

  [[nodiscard]] std::chrono::steady_clock::time_point started() const { return started_; }

 private:
  /// Without a name, so that nothing is left behind.
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using TemporaryFile = std::unique_ptr<std::FILE, Close>;

  ChildRun(EventLoop& loop, Subprocess process, TemporaryFile output, TemporaryFile errors,
           std::function<void(ChildResult)> on_end);
  void on_exit();

  EventLoop& loop_;
  Subprocess process_;
  TemporaryFile output_;
  TemporaryFile errors_;
  std::function<void(ChildResult)> on_end_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  unsigned interrupts_ = 0;
  bool ended_ = false;
};

}  // namespace vmm::suite
