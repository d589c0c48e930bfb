// Follows the guest's audit log over its control port.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "vmm/control/client.hpp"
#include "vmm/machine/audit_lines.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::machine {

/// What the follower tells, from its own thread.
struct AuditFollowerEvents {
  /// Lines for the file, whole ones.
  std::function<void(std::string)> on_lines;
  /// The guest does not accept the token: it has another key now. set_token() is waited for.
  std::function<void()> on_refused;
  /// It follows no more.
  std::function<void(std::string)> on_given_up;
};

/// A thread that connects, goes on where it was when its connection ends, and does so until it is destroyed. Lines are
/// made here, and written by whoever is told of them: a confined thread of this kind writes no files.
class AuditFollower {
 public:
  using Clock = std::chrono::steady_clock;

  /// @param connect_timeout how long a connection may take to come about; the first one waits for the guest to boot
  AuditFollower(std::filesystem::path socket, const abi::control::Token& token,
                std::chrono::milliseconds connect_timeout, bool restored, AuditFollowerEvents events,
                sandbox::Sandbox sandbox);
  /// Waits for the thread, which ends with its connection, so destroy this after the device was stopped.
  ~AuditFollower();
  AuditFollower(const AuditFollower&) = delete;
  AuditFollower& operator=(const AuditFollower&) = delete;

  /// From any thread.
  void set_token(const abi::control::Token& token);
  /// Makes no more connections; returns when the last one has been read to its end. From any thread but its own.
  void finish();
  /// What was made of it. After finish().
  AuditLines& lines() { return lines_; }

 private:
  void run();
  /// Until the connection ends. False: there is nothing more to come.
  bool follow(const abi::control::Token& token);
  bool take(const nlohmann::json& event);
  bool on_error(const control::ClientError& error);
  bool give_up(const std::string& why);
  /// The token to connect with; nothing: it is over. `refused`: not this one.
  std::optional<abi::control::Token> next_token(const abi::control::Token* refused);

  std::filesystem::path socket_;
  std::chrono::milliseconds connect_timeout_;
  AuditFollowerEvents events_;
  AuditLines lines_;  ///< this and the next are the thread's, until it has ended
  bool given_up_ = false;
  std::mutex mutex_;  ///< guards the next two
  std::condition_variable changed_;
  abi::control::Token token_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace vmm::machine
