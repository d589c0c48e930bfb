// Sends the requests of a scenario's steps to the guest, through the same socket as any other client.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "vmm/control/client.hpp"
#include "vmm/observe/summary.hpp"
#include "vmm/sandbox/sandbox.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::machine {

/// Opens connections to the guest's control server.
struct ControlAddress {
  std::filesystem::path socket;
  abi::control::Token token;
};

/// What the runner tells, from its own thread.
struct RunnerEvents {
  /// The control server has answered a Hello.
  std::function<void()> on_ready;
  /// No connection could be made; no step was run. Nothing else follows.
  std::function<void(control::ClientError)> on_no_connection;
  /// What is being done now, in words, for messages about time limits.
  std::function<void(std::string)> on_progress;
  /// A request is done; for parallel ones in the order of the scenario, after the last.
  std::function<void(observe::StepResult)> on_step;
  /// All steps are done, or one failed and the rest was left out, or cancel() was called.
  std::function<void()> on_finished;
};

/// One request with its repetitions, over a connection of its own. `ready` is a connection to use, if there is one.
/// The result's status is Passed or Failed.
observe::StepResult run_request(const scenario::Request& request, const ControlAddress& address,
                                std::chrono::milliseconds connect_timeout,
                                std::optional<control::Client> ready = std::nullopt);

/// Runs steps on a thread of its own. After a failed step the rest is left out: later steps build on earlier ones.
class Runner {
 public:
  /// @param steps   outlive the runner
  /// @param connect_timeout how long a connection may take to come about; the first one waits for the guest to boot
  Runner(const std::vector<scenario::Step>& steps, ControlAddress address, std::chrono::milliseconds connect_timeout,
         RunnerEvents events, sandbox::Sandbox sandbox);
  /// Waits for the thread. A request under way ends when its time is up or when the vsock device closes its
  /// connection, so destroy this after the device was stopped.
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Starts no further request. From any thread.
  void cancel() { cancelled_ = true; }

 private:
  void run();
  bool run_step(const scenario::Step& step, std::optional<control::Client>& ready);

  const std::vector<scenario::Step>& steps_;
  ControlAddress address_;
  std::chrono::milliseconds connect_timeout_;
  RunnerEvents events_;
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;
};

}  // namespace vmm::machine
