// Who is told of a run while it goes on.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "vmm/machine/backend.hpp"
#include "vmm/observe/summary.hpp"

namespace vmm::machine {

/// Shows a run to people. All calls come on the supervisor's thread and must not block.
class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void on_started(const std::string& name, const std::filesystem::path& run_dir,
                          const BackendInfo& backend) = 0;
  /// Where old clients can connect: "unix:/run/m/v0.sock", "tcp:127.0.0.1:4000".
  virtual void on_legacy_socket(const std::string& where) = 0;
  /// Bytes of the guest's console as they come.
  virtual void on_console(std::string_view bytes) = 0;
  /// The control server has answered, `after` the start.
  virtual void on_ready(std::chrono::nanoseconds after) = 0;
  /// What is waited for from now on, in words: "step NAME".
  virtual void on_progress(const std::string& doing) = 0;
  virtual void on_step(const observe::StepResult& step) = 0;
  virtual void on_warning(const std::string& message) = 0;
  virtual void on_stopping(const std::string& why) = 0;
  /// The machine is gone and its files are written.
  virtual void on_finished(const observe::Summary& summary, const std::filesystem::path& run_dir,
                           const std::string& panic_report) = 0;
};

}  // namespace vmm::machine
