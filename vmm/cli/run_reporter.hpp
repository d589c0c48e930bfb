// Shows a run on the terminal.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "text_output.hpp"
#include "vmm/machine/reporter.hpp"

namespace vmm::cli {

enum class Echo {
  None,   ///< --json: the console is in console.log only
  Lines,  ///< each line marked, without control characters
  Raw,    ///< -i: the terminal is the console
};

class RunReporter final : public machine::Reporter {
 public:
  RunReporter(TextOutput& output, Echo echo) : output_(output), echo_(echo) {}

  /// Puts the terminal back before the last lines are printed; set when one is attached.
  void set_release_terminal(std::function<void()> release) { release_terminal_ = std::move(release); }

  /// Where the live page is served, which who asked for it must know: with Echo::None on the standard error.
  void on_live_page(const std::string& url);

  void on_started(const std::string& name, const std::filesystem::path& run_dir,
                  const machine::BackendInfo& backend) override;
  void on_legacy_socket(const std::string& where) override;
  void on_console(std::string_view bytes) override;
  void on_ready(std::chrono::nanoseconds after) override;
  void on_progress(const std::string& doing) override;
  void on_step(const observe::StepResult& step) override;
  void on_warning(const std::string& message) override;
  void on_stopping(const std::string& why) override;
  void on_finished(const observe::Summary& summary, const std::filesystem::path& run_dir,
                   const std::string& panic_report) override;

  /// Tells what goes on below what has been told, if it has gone on for a second. As often as is wanted, on a terminal.
  void show_progress();

 private:
  using Clock = std::chrono::steady_clock;

  void say(const std::string& line);
  void echo_line();

  TextOutput& output_;
  Echo echo_;
  std::string line_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point since_ = started_;  ///< of what goes on
  std::string doing_ = "the guest boots";
  std::function<void()> release_terminal_;
};

}  // namespace vmm::cli
