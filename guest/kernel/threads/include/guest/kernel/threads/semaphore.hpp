// Counting semaphore.
#pragma once

#include <cstdint>

#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/threads/wait_list.hpp"

namespace guest::threads {

/// A number that signal() raises and wait() lowers, which waits where it is 0. Each signal ends one wait: that of the
/// most urgent thread.
class Semaphore {
 public:
  explicit constexpr Semaphore(std::uint32_t count = 0) : count_(count) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// From any context, interrupt handlers included.
  void signal();
  /// Waits until `deadline_ns` of the clock at the latest. In threads.
  WaitResult wait(std::uint64_t deadline_ns = kForever);
  /// Lowers it if it is not 0. False: it was. From any context.
  [[nodiscard]] bool try_wait();

 private:
  kernel::SpinLock lock_{"semaphore", kernel::LockRank::Wait};
  std::uint32_t count_;
  WaitList waiters_;
};

}  // namespace guest::threads
