// Asks the guest to shut down.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "vmm/machine/runner.hpp"

namespace vmm::machine {

/// A thread that waits until the guest is to be asked, or until it is destroyed. It is made with the machine, because a
/// confined main thread makes no others, and speaks with the guest beside the runner's, whose requests may be under
/// way.
class ShutdownRequest {
 public:
  using Clock = std::chrono::steady_clock;
  using OnAnswer = std::function<void(control::ClientResult<nlohmann::json>)>;

  /// @param on_answer called on the thread
  ShutdownRequest(std::filesystem::path socket, OnAnswer on_answer, sandbox::Sandbox sandbox);
  /// Waits for a request under way, which ends as those of the Runner do.
  ~ShutdownRequest();
  ShutdownRequest(const ShutdownRequest&) = delete;
  ShutdownRequest& operator=(const ShutdownRequest&) = delete;

  /// Sends the request with `token`, which has until `deadline`. Only once.
  void send(Clock::time_point deadline, const abi::control::Token& token);

 private:
  void run();

  std::filesystem::path socket_;
  OnAnswer on_answer_;
  std::mutex mutex_;  ///< guards the next four
  std::condition_variable changed_;
  std::optional<Clock::time_point> deadline_;
  abi::control::Token token_{};
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace vmm::machine
