// The scheduler of one CPU: which task runs, and until when at the latest (docs/scheduler.md).
//
//   wake(), block(), yield(), and the timer's interrupt  ->  choose()  ->  run that task; set the timer to next_event()
//
// It has no clock and no lock: every call is told the time, which never goes back, and the caller keeps the CPU's
// interrupts and the other CPUs out. So simulations can run it as it is. How much of that time a hypervisor stole it
// looks up itself, where somebody tells: in each call that charges a task.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/pairing_heap.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/sched/admission.hpp"
#include "guest/kernel/sched/server.hpp"
#include "guest/kernel/sched/stolen_time.hpp"

namespace guest::sched {

class CpuScheduler {
 public:
  /// Turn of a best-effort task when others of them wait.
  static constexpr Time kSlice = 10'000'000;

  /// `stolen` lives for ever; null: nobody tells what is stolen from this CPU.
  explicit constexpr CpuScheduler(Ppm bound = kDefaultBound, const StolenCounter* stolen = nullptr)
      : stolen_(stolen), bound_(bound) {}
  CpuScheduler(const CpuScheduler&) = delete;
  CpuScheduler& operator=(const CpuScheduler&) = delete;

  /// Promises `server` its budget from now on, if that fits.
  [[nodiscard]] Admission admit(const Server& server);
  /// Takes the promise back. None of the server's tasks may be ready. Unlike admit() a call of the CPU itself, if the
  /// server has had work.
  void remove(Server& server, Time now);

  /// `task` wants to run. Does nothing if it is ready already.
  void wake(Task& task, Time now);
  /// `task` waits for something, or has ended. Does nothing if it is not ready.
  void block(Task& task, Time now);
  /// `task` has what a task with this deadline waits for: until it is told otherwise it runs as if that were its own,
  /// if that is earlier, and without regard to its budget, of which it is charged all the same. kBestEffort:
  /// best-effort tasks wait, so it goes before these, and behind all that have a deadline. kNever: nobody waits.
  void inherit(Task& task, Time deadline);
  /// The running task lets the others of its server, or of the best-effort class, go first.
  void yield(Time now);
  /// Accounts for the time up to `now` and says which task runs from now on; null: none wants to.
  Task* choose(Time now) {
    charge(now);
    return choose_charged(now);
  }
  /// The same right after yield() or block() of the running task at `now`, which have accounted for that time.
  Task* choose_charged(Time now);
  /// When choose() must be called again if nothing else happens before; kNever: need not.
  [[nodiscard]] Time next_event() const;

  /// What choose() has said last, unless that has blocked since.
  [[nodiscard]] Task* running() const { return running_; }
  /// Time for which the running task has had a CPU, up to `now`; 0 if none runs.
  [[nodiscard]] Time running_ran(Time now) const {
    if (running_ == nullptr) {
      return 0;
    }
    const Time stolen = stolen_.is_told() ? stolen_.pending(now - accounted_until()) : 0;
    return running_->ran_ + now - charged_until_ - stolen;
  }
  [[nodiscard]] const StolenTime& stolen() const { return stolen_; }
  [[nodiscard]] Ppm bound() const { return bound_; }
  [[nodiscard]] Ppm admitted() const { return admitted_; }
  [[nodiscard]] std::size_t servers() const { return servers_; }

 private:
  /// The time before has been charged to whom it belongs, be it only by charge_reclaiming().
  [[nodiscard]] Time accounted_until() const { return std::max(charged_until_, reclaimed_until_); }
  /// Before a task is charged for the time up to `now`.
  void skip_stolen(Time now) {
    if (stolen_.is_told()) [[unlikely]] {
      skip_what_was_stolen(now);
    }
  }
  void skip_what_was_stolen(Time now);
  void charge(Time now);
  void charge_running(Time ran);
  void charge_server(Server& server, Time ran);
  void prepare_to_wake(Task& task, Time now);
  void make_ready(Task& task, Time now);
  void wait_for_budget(Server& server, bool was_throttled);
  void replenish_due(Time now);
  void replenish(Time now);
  static void note_throttle(Server& server);

  // reclaiming.cpp
  [[nodiscard]] static bool reclaims(const Server& server) { return server.cbs_.parameters().reclaim; }
  void get_to_know(Server& server, Time now);
  void forget(Server& server, Time now);
  void become_active(Server& server, Time now);
  void begin_to_leave(Server& server, Time now);
  void become_inactive(Server& server);
  void stop_watching();
  void charge_if_reclaiming(Time now);
  void charge_reclaiming(Server& server, Time from, Time now);
  [[nodiscard]] Ppm rate_of(const Server& server) const;
  [[nodiscard]] Time budget_lasts_until(const Server& server) const;

  // Servers with work.
  kernel::PairingHeap<Server, &Server::link_, &Server::is_more_urgent> ready_;
  kernel::PairingHeap<Server, &Server::link_, &Server::is_replenished_before> throttled_;
  kernel::PairingHeap<Task, &Task::heir_link_, &Task::inherits_before> heirs_;  ///< ready tasks that have inherited
  Task::List best_effort_;
  Task* running_ = nullptr;
  Time charged_until_ = 0;
  StolenTime stolen_;
  Time slice_left_ = kSlice;  ///< of the first best-effort task
  Ppm bound_;
  // For servers that reclaim. While there is none nobody is watched, and nobody is active or leaving.
  kernel::IntrusiveList<Server, &Server::known_link_> known_;
  kernel::PairingHeap<Server, &Server::link_, &Server::is_inactive_before> leaving_;  ///< active ones without work
  std::size_t reclaimers_ = 0;                                                        ///< known ones that reclaim
  Ppm active_ = 0;            ///< the shares of the active servers
  Time reclaimed_until_ = 0;  ///< time that servers that reclaim have been charged for, though charge() knows not
  Ppm admitted_ = 0;
  std::size_t servers_ = 0;
};

// In the way of every switch, so inline.

inline void CpuScheduler::charge_running(Time ran) {
  running_->ran_ += ran;
  if (running_->server_ != nullptr) {
    charge_server(*running_->server_, ran);
    return;
  }
  slice_left_ -= ran;
  if (slice_left_ <= 0) [[unlikely]] {
    best_effort_.move_to_back(*running_);
    slice_left_ = kSlice;
  }
}

/// Rules 1 and 2.
inline void CpuScheduler::charge(Time now) {
  skip_stolen(now);
  const Time ran = now - charged_until_;
  charged_until_ = now;
  if (running_ != nullptr && ran != 0) [[likely]] {
    charge_running(ran);
  }
}

/// Rule 3.
inline void CpuScheduler::replenish_due(Time now) {
  if (!throttled_.empty()) [[unlikely]] {
    replenish(now);
  }
}

/// A wake-up after all that has to be seen to before.
inline void CpuScheduler::make_ready(Task& task, Time now) {
  Server* const server = task.server_;
  if (server == nullptr) {
    best_effort_.push_back(task);
    return;
  }
  const bool had_work = server->has_work();
  server->tasks_.push_back(task);
  if (had_work) {
    return;
  }
  const bool was_throttled = server->cbs_.throttled();
  if (server->cbs_.wake_up(now)) [[unlikely]] {
    wait_for_budget(*server, was_throttled);
  } else {
    ready_.insert(*server);
  }
}

[[gnu::always_inline]] inline void CpuScheduler::wake(Task& task, Time now) {
  if (task.ready()) {
    return;
  }
  const Server* const server = task.server_;
  const bool ordinary = task.inherited_ == kNever && throttled_.empty() && reclaimers_ == 0 &&
                        (server == nullptr || server->known_link_.linked);
  if (!ordinary) [[unlikely]] {
    prepare_to_wake(task, now);
  }
  make_ready(task, now);
}

inline void CpuScheduler::yield(Time now) {
  kernel::require(running_ != nullptr, "nothing runs that could yield");
  if (running_->server_ == nullptr) {
    // As charge(), but for the slice, which ends here anyway.
    skip_stolen(now);
    running_->ran_ += now - charged_until_;
    charged_until_ = now;
    best_effort_.move_to_back(*running_);
    slice_left_ = kSlice;
  } else {
    charge(now);
    running_->server_->tasks_.move_to_back(*running_);
  }
}

inline Task* CpuScheduler::choose_charged(Time now) {
  replenish_due(now);
  Server* const first = ready_.first();
  Task* const heir = heirs_.first();
  if (heir != nullptr && (first == nullptr || heir->inherited_ <= first->cbs_.deadline())) {
    running_ = heir;
  } else if (first != nullptr) {
    running_ = first->tasks_.front();
  } else {
    running_ = best_effort_.front();
  }
  return running_;
}

/// Of one that reclaims: what it is charged for each nanosecond, in millionths. Without a budget it has no right to
/// what is another's.
inline Ppm CpuScheduler::rate_of(const Server& server) const {
  return server.cbs_.throttled() ? kWholeCpu : kWholeCpu - bound_ + active_;
}

/// Or later, if others become inactive until then.
inline Time CpuScheduler::budget_lasts_until(const Server& server) const {
  if (reclaims(server)) [[unlikely]] {
    return charged_until_ + server.cbs_.lasts_for(rate_of(server));
  }
  return charged_until_ + server.cbs_.budget();
}

inline Time CpuScheduler::next_event() const {
  Time next = kNever;
  if (running_ == nullptr) {
    // None wants to run.
  } else if (const Server* const server = running_->server_; server != nullptr) {
    // An heir goes on without a budget.
    if (!server->cbs_.throttled()) [[likely]] {
      next = budget_lasts_until(*server);
    }
  } else if (best_effort_.has_several()) {
    next = charged_until_ + slice_left_;
  }
  if (throttled_.empty()) [[likely]] {
    return next;
  }
  return std::min(next, throttled_.first()->cbs_.replenished_at());
}

/// Where a server was admitted, or the answer of the CPU that has the most room.
struct Placement {
  std::size_t cpu;
  Admission admission;
};

/// Admits `server` to the first of `cpus`, of which there is one at least, that it fits on (first fit by density).
[[nodiscard]] Placement place(std::span<CpuScheduler* const> cpus, const Server& server);

}  // namespace guest::sched
