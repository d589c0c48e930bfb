// Follows the guest's audit log over its control port.
#pragma once

#include <functional>
#include <string>

#include "vmm/control/client.hpp"
#include "vmm/machine/audit_lines.hpp"

namespace vmm::machine {

/// What the follower tells, from the thread that calls it.
struct AuditFollowerEvents {
  /// Lines for the file, whole ones.
  std::function<void(std::string)> on_lines;
  /// It follows no more.
  std::function<void(std::string)> on_given_up;
};

/// Goes on with each connection where it was when the one before ended. Lines are made here, and written by whoever is
/// told of them: a confined thread that speaks with the guest writes no files.
class AuditFollower {
 public:
  AuditFollower(bool restored, AuditFollowerEvents events) : events_(std::move(events)), lines_(restored) {}

  /// Follows until the connection ends. False: there is nothing more to come. From one thread.
  bool follow(control::Client& client);
  /// What was made of it. When that thread has ended.
  AuditLines& lines() { return lines_; }

 private:
  bool take(const nlohmann::json& event);
  bool on_error(const control::ClientError& error);
  bool give_up(const std::string& why);

  AuditFollowerEvents events_;
  AuditLines lines_;
  bool given_up_ = false;
};

}  // namespace vmm::machine
