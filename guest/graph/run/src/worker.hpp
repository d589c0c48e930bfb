// One thread of a run: executes the operators of one CPU.
#pragma once

#include <cstdint>

#include "guest/graph/run/runner.hpp"
#include "guest/kernel/threads/threads.hpp"

namespace guest::graph {

class Worker {
 public:
  explicit Worker(Runner& run, std::uint32_t cpu) : run_(run), cpu_(cpu) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  [[nodiscard]] std::uint32_t cpu() const { return cpu_; }
  /// The place is this worker's; before it starts.
  void add_place(std::size_t place) { work_ |= bit(place); }
  void set_server(tasks::Server* server) { server_ = server; }
  [[nodiscard]] tasks::Server* server() const { return server_; }
  /// False: no memory for a thread.
  bool start(std::string_view name, kernel::WorkItem& gone);
  [[nodiscard]] bool gone() const { return thread_->gone(); }

  /// An operator of this worker may fire now. From other threads, which are busy themselves or the control loop's.
  void raise(std::size_t place);
  /// Has it look at the state of the run.
  void wake();

 private:
  static constexpr std::uint64_t bit(std::size_t place) { return std::uint64_t{1} << place; }

  using Moment = threads::Dispatcher::Moment;

  void run();
  Moment work(const Moment& now);
  void wait();
  void wake_due_sources(std::uint64_t now_ns);
  [[nodiscard]] std::size_t choose();
  Moment step(std::size_t place, Moment now);
  bool source_is_ready(std::size_t place, std::uint64_t now_ns);
  bool is_stuck(Operator& on);
  Moment fire(Runner::Place& at, const Moment& begin);
  void notify(const Runner::Place& from, std::uint32_t producers, std::uint32_t consumers);
  void notify(std::size_t place);

  Runner& run_;
  const std::uint32_t cpu_;
  tasks::Server* server_ = nullptr;
  threads::ThreadRef thread_;
  threads::Dispatcher* here_ = nullptr;       ///< of its CPU, since it began
  std::uint64_t work_ = 0;                    ///< places that may fire
  std::uint64_t timed_ = 0;                   ///< places of sources that wait for a time
  std::uint64_t due_ns_ = threads::kForever;  ///< when the first of them is due, or earlier
  std::size_t last_ = 0;                      ///< the place that fired last
  RaisedWork raised_;                         ///< places, by others
};

}  // namespace guest::graph
