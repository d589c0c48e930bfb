// audit.jsonl of a run: the guest's audit log, as it is made (docs/audit.md, The file of a run).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "audit_follower.hpp"
#include "guest_link.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::machine {

struct AuditStreamOptions {
  std::filesystem::path file;
  std::filesystem::path socket;  ///< of the machine's vsock
  std::chrono::milliseconds connect_timeout;
  bool restored;                                ///< the machine goes on from a snapshot
  std::function<control::Key()> present_key;    ///< asked on the loop's thread
  std::function<void(std::string)> on_warning;  ///< called on the loop's thread
  sandbox::Sandbox sandbox;
};

/// Owns the file, which has mode 0600, and the thread that follows the guest. In the thread of the loop, which outlives
/// it.
class AuditStream {
 public:
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{64} * 1024 * 1024;

  /// Error: the file cannot be made.
  static Result<std::unique_ptr<AuditStream>> create(EventLoop& loop, AuditStreamOptions options);
  AuditStream(const AuditStream&) = delete;
  AuditStream& operator=(const AuditStream&) = delete;

  /// The device has been stopped: reads what is still to come. The loop must turn once more before close().
  void finish() { link_->finish(); }
  /// Writes the last line. @param how the guest ended; @param boots how often it has started
  void close(std::string_view how, unsigned boots);

 private:
  AuditStream(EventLoop& loop, UniqueFd file, AuditStreamOptions options);
  void write(std::string_view lines);
  void warn(const std::string& message);

  UniqueFd file_;
  AuditStreamOptions options_;
  std::uint64_t bytes_ = 0;
  bool complete_ = true;   ///< nothing that came was left out
  bool following_ = true;  ///< not given up
  std::unique_ptr<AuditFollower> follower_;
  std::unique_ptr<GuestLink> link_;
};

}  // namespace vmm::machine
