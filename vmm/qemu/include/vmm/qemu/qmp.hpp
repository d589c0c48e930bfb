// The QEMU Machine Protocol, without the socket (QEMU, "QEMU Machine Protocol Specification"): JSON values, one a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "vmm/base/result.hpp"

namespace vmm::qemu {

/// One session: greeting, capabilities negotiation, then commands and events.
class QmpSession {
 public:
  /// Longest line that is taken.
  static constexpr std::size_t kMaxLineBytes = 256 * 1024;

  using EventCallback = std::function<void(const std::string& name, const nlohmann::json& data)>;
  /// Gets the value under "return", or QEMU's description of the error.
  using ReplyCallback = std::function<void(Result<nlohmann::json>)>;

  explicit QmpSession(EventCallback on_event) : on_event_(std::move(on_event)) {}

  /// Takes bytes from QEMU, cut anywhere. The error says what QMP does not allow; the session is then over.
  Result<> feed(std::string_view bytes);

  /// Sends a command; before the greeting has come, it waits for the negotiation. `on_reply` may be empty.
  void execute(const std::string& command, ReplyCallback on_reply = {});

  /// Bytes for QEMU that have come up since the last call.
  std::string take_output() { return std::exchange(output_, {}); }

  /// "7.2.22", once the greeting has come.
  [[nodiscard]] const std::string& version() const { return version_; }
  /// QEMU has answered: it greets while it still makes the machine, and answers when that is done.
  [[nodiscard]] bool negotiated() const { return negotiated_; }

 private:
  struct Pending {
    std::uint64_t id;
    ReplyCallback on_reply;
  };

  Result<> take_line(std::string_view line);
  Result<> take_greeting(const nlohmann::json& value);
  Result<> take_reply(const nlohmann::json& value);
  void send(const std::string& command, ReplyCallback on_reply);

  EventCallback on_event_;
  std::string line_;
  std::string output_;
  std::string version_;
  bool greeted_ = false;
  bool negotiated_ = false;
  std::deque<std::pair<std::string, ReplyCallback>> waiting_;  ///< commands from before the negotiation
  std::deque<Pending> pending_;                                ///< sent, not yet answered; answers keep the order
  std::uint64_t next_id_ = 1;
};

}  // namespace vmm::qemu
