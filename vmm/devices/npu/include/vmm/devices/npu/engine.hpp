// Runs jobs: priorities, preemption, deadlines, abort, power. Knows no queues of virtio and no guest memory, only jobs
// whose commands are checked.
//
//   device's thread                          the engine's thread              helpers
//     submit() -> 4 queues, by priority -->    takes the first of the highest
//                                              runs one command of it:
//     abort(), pause() -- interrupt_ ------>     a slice of units ----------->  share its units
//                                                a slice of units ...
//     take_finished() <-- Notifier --------    job ends
//
// Between two commands every job of higher priority goes first. Between two slices, some kSliceTarget of time each,
// only interrupt_ is looked at: so what must be fast (abort, pause, discard) is over within a slice, and a job that is
// paused goes on with the unit where it stopped.
//
// Threads: public functions belong to one thread, the device's, but for counters. None of them waits for more than a
// slice, and of those that do each says so.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "vmm/base/notifier.hpp"
#include "vmm/base/result.hpp"
#include "vmm/devices/npu/clock.hpp"
#include "vmm/devices/npu/counters.hpp"
#include "vmm/devices/npu/job.hpp"
#include "vmm/devices/npu/pace.hpp"
#include "vmm/devices/npu_options/options.hpp"

namespace vmm::npu {

class WorkerPool;

/// What an engine needs. All of it outlives the engine.
struct EngineConfig {
  CommandSet commands;
  ::npu::Model model;
  Options options;
  Clock* clock = nullptr;
  Counters* counters = nullptr;
  std::function<void()> thread_start = {};  ///< the first act of each thread; may be empty
};

class Engine {
 public:
  /// How long a slice shall take. It takes longer where one unit does, or the host runs other threads.
  static constexpr std::chrono::microseconds kSliceTarget{500};

  static Result<std::unique_ptr<Engine>> create(const EngineConfig& config);
  /// Waits for a slice at most. Jobs that are left are forgotten.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Takes a job; its arrival is now, and its number that of arrived(). Other jobs in flight have other ids.
  void submit(std::unique_ptr<Job> job);
  /// Counts a job that is refused, as one that arrived and ended.
  void refuse(abi::npu::Status status);
  /// How many jobs have arrived.
  [[nodiscard]] std::uint64_t arrived() const { return arrived_; }

  /// Readable when take_finished() may have something.
  [[nodiscard]] const Notifier& news() const { return news_; }
  /// Jobs that have ended, in that order.
  std::vector<std::unique_ptr<Job>> take_finished();

  /// Ends a job with Status::Aborted, at once or after the slice that runs. False: there is none.
  bool abort(std::uint64_t id);
  /// Ends all jobs so, at once or after the slice that runs.
  void abort_all(abi::npu::Status status, abi::npu::Reason reason);
  /// abort_all(), and forgets all jobs, also those that have ended. Waits for a slice at most: no memory is touched
  /// after it.
  void discard(abi::npu::Status status, abi::npu::Reason reason);

  /// Stops between two slices and waits for that: until resume() no memory is touched. Time goes on: deadlines pass.
  void pause();
  void resume();
  /// Gated: no command starts; the one that runs ends.
  void set_gated(bool gated);

  /// Counters::idle_ns, with what has gone by since the last job.
  [[nodiscard]] std::uint64_t idle_ns() const;

 private:
  explicit Engine(const EngineConfig& config, Notifier news);

  // With mutex_ held, any thread.
  void finish(Job& job, const Outcome& outcome);
  void stop_running(const Outcome& outcome);
  [[nodiscard]] static Outcome ended_at(const Job& job, abi::npu::Status status, abi::npu::Reason reason);

  // The engine's thread, with mutex_ held but where a slice runs or it waits.
  void run();
  void expire(std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t next_due() const;
  [[nodiscard]] Job* choose() const;
  bool settle_busy(std::unique_lock<std::mutex>& lock, std::uint64_t now_ns);
  void begin(Job& job, std::uint64_t now_ns);
  void run_command(std::unique_lock<std::mutex>& lock, Job& job);
  void count(const ::npu::Checked& command);
  void command_done(Job& job);
  void complete(Job& job);
  [[nodiscard]] bool fails(const Job& job) const;
  [[nodiscard]] std::uint64_t delay_ns(const Job& job) const;
  std::optional<abi::npu::Reason> run_slices(Job& job, const ::npu::Checked& command);

  const EngineConfig config_;
  const Notifier news_;
  std::unique_ptr<WorkerPool> pool_;
  Pace pace_;                  ///< the engine's thread
  std::uint64_t arrived_ = 0;  ///< the device's thread

  mutable std::mutex mutex_;                                                  ///< guards all below
  std::condition_variable work_;                                              ///< what the engine's thread waits at
  std::condition_variable quiet_;                                             ///< no slice runs
  std::array<std::deque<std::unique_ptr<Job>>, abi::npu::kPriorities> jobs_;  ///< by priority; first come, first served
  std::vector<std::unique_ptr<Job>> finished_;
  Job* running_ = nullptr;       ///< of which a slice runs
  std::optional<Outcome> stop_;  ///< how it shall end after that
  /// Its command has run and still occupies the modelled device, until busy_until_ns_.
  Job* busy_ = nullptr;
  std::uint64_t busy_until_ns_ = 0;
  Job* last_ = nullptr;  ///< of which a command ran last, if it is in flight
  std::uint64_t idle_since_ns_ = kNever;
  bool paused_ = false;
  bool gated_ = false;
  bool ending_ = false;
  std::atomic<bool> interrupt_ = false;  ///< the slice that runs is the last one for now
  std::thread thread_;
};

}  // namespace vmm::npu
