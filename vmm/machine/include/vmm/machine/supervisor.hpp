// Takes one machine from its start to its summary.
//
//   start -> wait for the control server -> steps -> ask the guest to shut down -> (kill) -> expectations -> summary
//
// Everything happens on one loop in the thread that calls run(); what blocks (requests to the guest) has threads of its
// own, which post their news to the loop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/control/client.hpp"
#include "vmm/machine/backend.hpp"
#include "vmm/machine/console_hub.hpp"
#include "vmm/machine/guest_watch.hpp"
#include "vmm/machine/monitor.hpp"
#include "vmm/machine/registry.hpp"
#include "vmm/machine/reporter.hpp"
#include "vmm/machine/runner.hpp"
#include "vmm/machine/shutdown_request.hpp"
#include "vmm/machine/verdict.hpp"
#include "vmm/observe/summary.hpp"
#include "vmm/observe/text_order.hpp"
#include "vmm/observe/text_watch.hpp"
#include "vmm/sandbox/sandbox.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::machine {

struct RunOptions {
  scenario::Scenario scenario;  ///< with what the command line changes in it
  std::filesystem::path kernel;
  std::filesystem::path snapshot;  ///< folder of the machine to go on with, which needs no kernel; empty: boot one
  std::optional<std::chrono::milliseconds> timeout;  ///< of the whole run until it begins to stop
  bool stay = false;                                 ///< go on after the steps: a user is at the console
  bool until_ready = false;                          ///< without steps: stop when the control server has answered
  std::string version;
  sandbox::Sandbox sandbox;  ///< for the threads of this process
};

using BackendFactory = std::function<Result<std::unique_ptr<Backend>>(MachineConfig)>;

class AuditStream;
class LegacySocket;
class ObserveStream;

class Supervisor {
 public:
  /// @param run_dir, reporter outlive the supervisor
  /// Errors: the loop, the sockets or the files of the run directory cannot be made.
  static Result<std::unique_ptr<Supervisor>> create(RunOptions options, RunDirectory& run_dir,
                                                    const BackendFactory& make_backend, Reporter& reporter);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Runs the machine to its end and writes summary.json, junit.xml and, after a panic, panic.txt. An error means that
  /// there is no summary: the machine could not be started, or the files could not be written.
  Result<observe::Summary> run();

  /// The loop, for signals and a terminal. Set up what is to run on it before run().
  EventLoop& loop() { return *loop_; }
  ConsoleHub& console() { return *console_; }

  /// Begins to stop the machine; `detail` is for the message ("SIGINT"). A second call kills it at once.
  void interrupt(const std::string& detail) { stop(StopCause::Interrupted, detail); }
  /// The user leaves the attached terminal.
  void leave() { stop(StopCause::Left, "left"); }

 private:
  class Events;
  friend class Events;

  Supervisor(RunOptions options, RunDirectory& run_dir, Reporter& reporter);
  Result<> prepare(const BackendFactory& make_backend);
  Result<> open_legacy_socket();
  Result<> write_key();
  Result<> write_boot_archive();
  Result<> start();
  Result<> start_audit();
  void end_audit();
  void start_observe();
  Result<> write_observed(observe::Summary& summary);
  void start_runner();
  void on_ready(std::chrono::nanoseconds after);
  void on_no_connection(const control::ClientError& error);
  void on_steps_finished();
  void on_exit_record(observe::ExitRecord record);
  void on_warning(const std::string& message);
  void on_exited(Result<> how);
  void on_time_up();
  void on_boot_time_up();
  void stop(StopCause cause, const std::string& detail);
  void ask_guest_to_shut_down();
  void on_shutdown_answer(const control::ClientResult<nlohmann::json>& answer);
  void end_backend(std::chrono::milliseconds kill_after);
  void kill_if_still_there(std::chrono::milliseconds after);
  void cancel_timers();
  nlohmann::json status() const;
  control::Key present_key() const;
  void on_guest_reset();
  void save(const std::filesystem::path& folder, const SnapshotDone& done);
  observe::Summary summarise();
  std::vector<observe::ExpectationResult> evaluate_audit_log();
  Result<> write_reports(const observe::Summary& summary, const std::string& panic_report);

  RunOptions options_;
  RunDirectory& run_dir_;
  Reporter& reporter_;
  control::Key key_{};  ///< that the guest started with
  ControlAddress address_;

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<LegacySocket> legacy_socket_;  ///< null: the scenario has none
  std::unique_ptr<ConsoleHub> console_;
  std::unique_ptr<MonitorServer> monitor_;
  GuestWatch watch_;
  observe::ConsoleParser parser_{watch_};
  observe::TextWatch texts_;
  observe::TextOrder order_;
  std::unique_ptr<Events> events_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<ShutdownRequest> shutdown_;
  std::unique_ptr<AuditStream> audit_;      ///< null: the scenario does not ask for it
  std::unique_ptr<ObserveStream> observe_;  ///< null: the scenario does not ask for it

  std::chrono::steady_clock::time_point start_;
  std::chrono::system_clock::time_point start_wall_;
  std::chrono::nanoseconds duration_{0};
  std::chrono::nanoseconds stopping_{0};  ///< when it began to be stopped; 0: it was not
  std::optional<std::chrono::nanoseconds> boot_host_;
  std::string doing_ = "the guest's control server";  ///< what is waited for
  std::vector<observe::StepResult> steps_;
  FinalMetrics final_metrics_;
  std::chrono::milliseconds stop_timeout_;
  EventLoop::TimerId boot_timer_ = 0;
  EventLoop::TimerId run_timer_ = 0;
  EventLoop::TimerId kill_timer_ = 0;
  unsigned reboots_ = 0;
  std::vector<std::string> warnings_;
  std::uint64_t warnings_left_out_ = 0;
  bool runner_done_ = false;
  bool exited_ = false;
  RunFacts facts_;
};

}  // namespace vmm::machine
