#include "vmm/machine/guest_watch.hpp"

#include <algorithm>

#include "abi/console.hpp"

namespace vmm::machine {
namespace {

constexpr char kReportCut[] = "(the report is longer; all of it is in console.log)\n";

}  // namespace

void GuestWatch::on_line(std::string_view line, bool more) {
  if (line == abi::console::kPanicBegin) {
    report_.clear();
    in_report_ = true;
  }
  if (in_report_) {
    if (report_.size() + line.size() + 1 <= kMaxReportBytes) {
      report_ += line;
      if (!more) report_ += '\n';
    } else {
      report_ += kReportCut;
      in_report_ = false;
    }
    if (line == abi::console::kPanicEnd) in_report_ = false;
  }
  if (line.starts_with(abi::console::kBootConfigError)) boot_config_line_ = observe::printable(line);
  if (line.empty()) return;
  recent_.emplace_back(line);
  if (recent_.size() > kRecentLines) recent_.pop_front();
}

void GuestWatch::on_exit_record(observe::ExitRecord record) {
  if (record.kind == observe::ExitRecord::Kind::Reboot) {
    exit_record_.reset();
  } else {
    exit_record_ = record;
  }
  on_exit_record_(record);
}

std::string GuestWatch::panic_report() const {
  if (!report_.empty()) return report_;
  std::string lines;
  for (const auto& line : recent_) lines += line + "\n";
  return lines;
}

std::string GuestWatch::panic_reason() const {
  constexpr std::string_view kReason = "\nreason: ";
  const auto found = report_.find(kReason);
  if (found == std::string::npos) return {};
  const auto start = found + kReason.size();
  return observe::printable(std::string_view(report_).substr(start, report_.find('\n', start) - start));
}

std::string GuestWatch::boot_config_line() const {
  return boot_config_line_.empty() ? last_lines(1) : boot_config_line_;
}

std::string GuestWatch::last_lines(std::size_t count) const {
  std::string joined;
  for (std::size_t i = recent_.size() - std::min(count, recent_.size()); i < recent_.size(); ++i) {
    joined += (joined.empty() ? "" : " | ") + observe::printable(recent_[i]);
  }
  return joined;
}

}  // namespace vmm::machine
