// Shows a suite of scenarios on the terminal.
#pragma once

#include "text_output.hpp"
#include "vmm/suite/suite.hpp"

namespace vmm::cli {

/// One line for each scenario as it ends, and below them on a terminal what runs now.
class SuiteOutput final : public suite::SuiteListener {
 public:
  /// @param quiet says nothing (--json)
  /// @param name_width of the longest name
  SuiteOutput(TextOutput& output, bool quiet, std::size_t name_width)
      : output_(output), quiet_(quiet), name_width_(name_width) {}

  void on_ended(const suite::Item& item, const suite::ItemResult& result) override;
  /// Tells what runs, as often as is wanted.
  void show_running(const suite::Suite& suite);
  /// The last line.
  void on_finished(const suite::Suite& suite, const std::filesystem::path& run_dir);

 private:
  TextOutput& output_;
  bool quiet_;
  std::size_t name_width_;
};

}  // namespace vmm::cli
