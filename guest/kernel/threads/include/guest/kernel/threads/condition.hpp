// Condition variable.
#pragma once

#include <cstdint>

#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/kernel/threads/wait_list.hpp"

namespace guest::threads {

/// Threads wait until others say that something has changed. They look themselves whether it has, under the mutex that
/// protects it: somebody else may have been faster.
class Condition {
 public:
  constexpr Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  /// Unlocks `mutex`, which the thread holds, waits, and locks it again: nothing that is said after the unlocking is
  /// missed. In threads.
  WaitResult wait(Mutex& mutex, std::uint64_t deadline_ns = kForever);
  /// Ends the wait of the most urgent, or of all. From any context.
  void notify_one();
  void notify_all();

 private:
  kernel::SpinLock lock_{"condition", kernel::LockRank::Wait};
  WaitList waiters_;
};

}  // namespace guest::threads
