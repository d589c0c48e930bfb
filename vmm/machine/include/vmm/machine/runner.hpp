// Sends the requests of a scenario's steps to the guest, through the same socket as any other client.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
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

/// What the guest said after the last step of metrics that the scenario expects something of.
struct FinalMetrics {
  std::map<std::string, std::int64_t, std::less<>> values;
  /// Of percentiles that it does not have (observe::percentile_metric): how many samples there were.
  std::map<std::string, std::uint64_t, std::less<>> samples;
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
  /// Not called when the scenario expects nothing of metrics, when a step failed, or when the guest does not answer any
  /// more.
  std::function<void(FinalMetrics)> on_metrics;
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
  /// @param scenario outlives the runner
  /// @param connect_timeout how long a connection may take to come about; the first one waits for the guest to boot
  Runner(const scenario::Scenario& scenario, ControlAddress address, std::chrono::milliseconds connect_timeout,
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
  void ask_metrics();
  void ask_samples(control::Client& client, const std::string& metric, control::Deadline deadline, FinalMetrics& found);
  bool run_step(const scenario::Step& step, std::optional<control::Client>& ready);

  const scenario::Scenario& scenario_;
  ControlAddress address_;
  std::chrono::milliseconds connect_timeout_;
  RunnerEvents events_;
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;
};

}  // namespace vmm::machine
