// Runs a graph: a thread on each CPU that its operators are on, in a server of its own if the graph has a budget.
//
//   start()                    nobody can fire any more, or stop()             the threads have gone
//   Idle ------> Running ----------------------------------------> Stopping -----------------------> Idle
//                 |   ^
//        pause()  v   | resume()
//                 Paused
//
// A thread, of all of its operators that may fire, takes one of the highest priority, those of one priority in turn.
// Which may fire it knows from a bit for each: set when the channel on which the operator was stuck lets it know,
// cleared when it is found stuck (docs/graph-run.md, "Who runs when"). So an execution costs the same however many
// operators there are.
//
// When no thread has anything left to do, the run is over: every source has executed as often as it was to, and what
// they made has gone as far as it could. If tensors are left that cannot go on, the run has ended in a deadlock, or
// somebody was left waiting, and the report names who waits for whom.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "guest/graph/graph.hpp"
#include "guest/graph/run/raised_work.hpp"
#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/kernel/work.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest::graph {

class Worker;

enum class RunState : std::uint8_t { Idle, Running, Paused, Stopping };
std::string_view to_string(RunState state);

/// How the last run ended.
enum class RunEnd : std::uint8_t {
  None,      ///< there was none, or it goes on
  Finished,  ///< everything that came into the graph went through
  Starved,   ///< tensors are left whose counterparts never came
  Deadlock,  ///< operators wait for each other in a ring
  Stopped,   ///< by stop()
  Failed,    ///< an operator could not do its work
};
std::string_view to_string(RunEnd end);

struct RunReport {
  RunState state;
  RunEnd end;
  std::string_view why;      ///< of Starved, Deadlock and Failed, in words; as long as there is no other run
  std::uint64_t runs;        ///< begun
  std::uint64_t executions;  ///< of all operators, in the last or the present one
  std::uint64_t ran_ns;      ///< of the last or the present one, from its start to its end or now
};

/// Somebody who wants to know that a run has ended. Owned by whoever made it; linked into the runner while it waits.
class RunObserver {
 public:
  RunObserver() = default;
  RunObserver(const RunObserver&) = delete;
  RunObserver& operator=(const RunObserver&) = delete;
  /// In the control loop's thread. It is linked no more, and may be gone when this returns. The runner is in the middle
  /// of it: what starts or destroys the graph comes later, from a work item.
  virtual void run_ended() = 0;
  kernel::ListLink<RunObserver> link;

 protected:
  ~RunObserver() = default;
};

/// Can anybody be promised that? Errors: graph-bad-server, naming the graph.
kernel::Outcome check_server(std::string_view graph, const sched::ServerParameters& server);

/// Called in the control loop's thread, but for what is said of the workers.
class Runner {
 public:
  static constexpr std::uint64_t kForEver = ~std::uint64_t{0};

  /// `server`: of which each CPU that the graph uses gets one. The graph outlives this.
  Runner(Graph& graph, const std::optional<sched::ServerParameters>& server);
  /// Idle.
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Each source executes `steps` times, or kForEver. Errors: graph-busy, graph-incomplete, graph-bad-cpu,
  /// graph-not-admitted (with the arithmetic), graph-no-memory. All or nothing. `as`: Running, or Paused: the
  /// run begins with resume(), and is under way until then.
  kernel::Outcome start(std::uint64_t steps, RunState as = RunState::Running);
  /// Executions that are under way end, no others begin; what is in the channels is dropped. Errors: graph-not-running.
  kernel::Outcome stop();
  /// No source begins any more; what is there goes on to its end. Errors: graph-not-running.
  kernel::Outcome drain();
  /// Errors: graph-not-running, graph-not-paused.
  kernel::Outcome pause();
  kernel::Outcome resume();
  /// A source has something that was asleep (OperatorCode::kAsleep).
  void wake(const Operator& source);

  [[nodiscard]] const std::optional<sched::ServerParameters>& server() const { return server_; }
  /// Gives the graph another server, if each CPU that it uses (without operators, the first) would promise it now.
  /// start() asks again. Errors, and nothing has changed: graph-busy, graph-bad-server, graph-bad-cpu,
  /// graph-not-admitted (with the arithmetic), graph-no-memory.
  kernel::Outcome set_server(const sched::ServerParameters& server);
  [[nodiscard]] RunReport report() const;
  /// Tells `observer` when the run that goes on has ended.
  void observe(RunObserver& observer) { observers_.push_back(observer); }
  /// Does nothing if it is not linked.
  void forget(RunObserver& observer) { observers_.remove(observer); }

 private:
  friend class Worker;
  /// What a worker knows of an operator. Of a cache line: others' are written by other CPUs, and a shift finds it.
  struct alignas(kernel::kCacheLineBytes) Place {
    Operator* code = nullptr;
    std::uint8_t worker = 0;
    std::uint8_t producers[kMaxPorts] = {};  ///< places of those that fill its inputs
    std::uint8_t consumers[kMaxPorts] = {};
    std::uint64_t peers = 0;       ///< places of its priority, itself included
    std::uint64_t steps_left = 0;  ///< of a source; touched by its worker
    std::uint64_t due_ns = 0;      ///< of a source that waits for a time
  };

  void begin();
  void take_places();
  kernel::Outcome make_workers();
  kernel::Outcome check_cpus() const;
  std::expected<tasks::Server*, kernel::NamedError> promise(std::uint32_t cpu);
  kernel::Outcome try_workers();
  void dismiss_workers();
  kernel::Outcome need(RunState state, std::string_view otherwise) const;
  void set_state(RunState state);
  [[nodiscard]] std::uint64_t executions() const;
  void raise(std::size_t place);
  void leave();
  void on_quiet();
  void on_worker_gone();
  void end_run();
  // By workers.
  void become_quiet();
  void note_failure(const Operator& failed, const kernel::NamedError& error);

  // verdict.cpp
  RunEnd judge();
  [[nodiscard]] static const Channel* stuck_on(const Operator& of);
  [[nodiscard]] static bool was_left_waiting(const Place& place);
  void describe_ring(const Operator& first);

  Graph& graph_;
  std::optional<sched::ServerParameters> server_;
  std::atomic<RunState> state_{RunState::Idle};
  std::atomic<bool> draining_{false};
  bool held_ = false;  ///< started as paused, and not resumed yet
  RunEnd end_ = RunEnd::None;
  kernel::FixedText<256> why_;
  std::uint64_t runs_ = 0;
  std::uint64_t executions_before_ = 0;  ///< of all operators, when the run began
  std::uint64_t began_ns_ = 0;
  std::uint64_t ended_ns_ = 0;
  kernel::BoundedArray<Place, kMaxOperators> places_;  ///< the highest priority first
  std::unique_ptr<Worker> workers_[kernel::kMaxCpus];
  std::size_t worker_count_ = 0;
  std::size_t started_ = 0;  ///< of them: those that have a thread
  BusyCount busy_;           ///< workers that are at it, and raised work that none of them has taken yet
  std::atomic<bool> failed_{false};
  kernel::FixedText<256> failure_;  ///< written by the worker that sets failed_
  kernel::WorkItem quiet_{[](void* self) { static_cast<Runner*>(self)->on_quiet(); }, this};
  kernel::WorkItem gone_{[](void* self) { static_cast<Runner*>(self)->on_worker_gone(); }, this};
  kernel::IntrusiveList<RunObserver, &RunObserver::link> observers_;
};

}  // namespace guest::graph
