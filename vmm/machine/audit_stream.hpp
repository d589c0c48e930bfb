// audit.jsonl of a run: the guest's audit log, as it is made (docs/audit.md, The file of a run).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/control/client.hpp"
#include "vmm/machine/audit_follower.hpp"

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
  ~AuditStream();
  AuditStream(const AuditStream&) = delete;
  AuditStream& operator=(const AuditStream&) = delete;

  /// The device has been stopped: reads what is still to come. The loop must turn once more before close().
  void finish() { follower_->finish(); }
  /// Writes the last line. @param how the guest ended; @param boots how often it has started
  void close(std::string_view how, unsigned boots);

 private:
  AuditStream(EventLoop& loop, UniqueFd file, AuditStreamOptions options);
  [[nodiscard]] abi::control::Token make_token() const;
  void write(std::string_view lines);
  void on_refused();
  void look_for_key();
  void warn(const std::string& message);

  EventLoop& loop_;
  UniqueFd file_;
  AuditStreamOptions options_;
  control::Key key_;  ///< of the token that the follower has
  std::uint64_t bytes_ = 0;
  bool complete_ = true;   ///< nothing that came was left out
  bool following_ = true;  ///< neither given up nor refused
  EventLoop::TimerId timer_ = 0;
  std::unique_ptr<AuditFollower> follower_;
};

}  // namespace vmm::machine
