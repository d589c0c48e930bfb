// A connection of the monitor's own to the guest's control server, kept up for as long as the machine runs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "vmm/base/event_loop.hpp"
#include "vmm/control/client.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::machine {

struct GuestLinkOptions {
  std::filesystem::path socket;               ///< of the machine's vsock
  std::chrono::milliseconds connect_timeout;  ///< of a connection; the first one waits for the guest to boot
  std::uint32_t token_id;
  abi::control::Rights rights;                ///< of the token, no more than needed
  std::function<control::Key()> present_key;  ///< asked on the loop's thread
  /// Called on the link's thread with each connection that came about, until that is of no more use. False: no other
  /// one is wanted.
  std::function<bool(control::Client&)> use;
  sandbox::Sandbox sandbox;
};

/// A thread that connects, again when its connection ends, and so on until finish(). Where the guest has another key by
/// now, it waits until that is known. In the thread of the loop, which outlives it, but for what is said of others.
class GuestLink {
 public:
  using Clock = std::chrono::steady_clock;

  GuestLink(EventLoop& loop, GuestLinkOptions options);
  /// Waits for the thread, which ends with its connection, so destroy this after the device was stopped.
  ~GuestLink();
  GuestLink(const GuestLink&) = delete;
  GuestLink& operator=(const GuestLink&) = delete;

  /// Makes no more connections; returns when the last one has been read to its end. What the thread has posted before
  /// needs one more turn of the loop.
  void finish();
  /// The guest does not accept the key that is known, and so is not listened to.
  [[nodiscard]] bool refused() const { return refused_; }

 private:
  [[nodiscard]] abi::control::Token make_token() const;
  void run();
  bool connect_and_use(const abi::control::Token& token);
  /// The token to connect with; nothing: it is over. `refused`: not this one.
  std::optional<abi::control::Token> next_token(const abi::control::Token* refused);
  void look_for_key();

  EventLoop& loop_;
  GuestLinkOptions options_;
  control::Key key_;  ///< of the token
  bool refused_ = false;
  EventLoop::TimerId timer_ = 0;
  std::mutex mutex_;  ///< guards the next two
  std::condition_variable changed_;
  abi::control::Token token_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace vmm::machine
