// Threads that wait for something, and how they wait.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/sched/cbs.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/timer.hpp"

namespace guest::threads {

class Thread;
class Waking;

enum class [[nodiscard]] WaitResult : std::uint8_t {
  Signalled,  ///< what it waited for has come
  TimedOut,
  Stopped,  ///< the thread has been asked to end
};

/// One wait of one thread, on its stack.
struct Waiter {
  /// Of the running thread.
  Waiter();
  Thread& thread;
  sched::Time deadline;                ///< of the thread when it began to wait
  std::atomic<bool> signalled{false};  ///< set under the lock, once
  kernel::ListLink<Waiter> link;
};

/// The most urgent first: by the deadlines that they began to wait with, then in the order of coming. Under the lock of
/// whatever it belongs to.
class WaitList {
 public:
  [[nodiscard]] bool empty() const { return waiters_.empty(); }
  /// Null: nobody waits.
  [[nodiscard]] Waiter* first() const { return waiters_.front(); }
  void add(Waiter& waiter);
  void remove(Waiter& waiter) { waiters_.remove(waiter); }
  /// The first has what it waited for: takes it out and unparks it. False: nobody waits. (dispatcher.hpp)
  bool signal_first(Waking& waking);

 private:
  kernel::IntrusiveList<Waiter, &Waiter::link> waiters_;
};

inline constexpr std::uint64_t kForever = kernel::kNoDeadline;

/// Waits until `waiter`, which is in `list`, is signalled, or until `deadline_ns` of the clock, or, if it may be
/// `stoppable`, the thread is asked to end. It is in the list no more then. `lock` is the list's, and not held.
inline WaitResult wait_for_signal(Waiter& waiter, WaitList& list, kernel::SpinLock& lock, std::uint64_t deadline_ns,
                                  bool stoppable);

namespace detail {
/// Under the lock: how the wait ends, in which case the waiter is in the list no more. Nothing: not yet.
std::optional<WaitResult> end_wait(Waiter& waiter, WaitList& list, kernel::SpinLock& lock, std::uint64_t deadline_ns,
                                   bool stoppable);
}  // namespace detail

}  // namespace guest::threads
