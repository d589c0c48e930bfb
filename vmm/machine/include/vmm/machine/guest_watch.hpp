// What the guest's console has told so far.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/observe/console_parser.hpp"
#include "vmm/observe/metrics.hpp"

namespace vmm::machine {

/// Collects metrics, the exit record, the panic report and the last lines. Bounded, whatever the guest prints.
class GuestWatch final : public observe::ConsoleSink {
 public:
  static constexpr std::size_t kRecentLines = 20;
  static constexpr std::size_t kMaxReportBytes = std::size_t{256} * 1024;

  /// @param on_exit_record called for every record, after it has been taken
  explicit GuestWatch(std::function<void(observe::ExitRecord)> on_exit_record)
      : on_exit_record_(std::move(on_exit_record)) {}

  void on_line(std::string_view line, bool more) override;
  void on_metric(std::string_view name, std::int64_t value) override { metrics_.set(name, value); }
  void on_exit_record(observe::ExitRecord record) override;
  void on_malformed(std::string_view) override { ++malformed_; }

  [[nodiscard]] const observe::MetricStore& metrics() const { return metrics_; }
  /// The last record; one of a reboot does not stay, since the guest goes on.
  [[nodiscard]] const std::optional<observe::ExitRecord>& exit_record() const { return exit_record_; }
  /// The report of the last panic, from its first line on; without that line the last lines before the record.
  [[nodiscard]] std::string panic_report() const;
  /// The reason in one line, as the report gives it; empty if it gives none.
  [[nodiscard]] std::string panic_reason() const;
  /// The line in which the guest says what is wrong with its boot configuration; else its last line.
  [[nodiscard]] std::string boot_config_line() const;
  /// The last `count` lines that are not empty, joined with " | ", for messages.
  [[nodiscard]] std::string last_lines(std::size_t count) const;
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

 private:
  std::function<void(observe::ExitRecord)> on_exit_record_;
  observe::MetricStore metrics_;
  std::optional<observe::ExitRecord> exit_record_;
  std::deque<std::string> recent_;
  bool in_report_ = false;
  std::string report_;
  std::string boot_config_line_;
  std::uint64_t malformed_ = 0;
};

}  // namespace vmm::machine
