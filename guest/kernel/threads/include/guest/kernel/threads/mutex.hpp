// Mutual exclusion of threads, with inheritance of deadlines.
//
// A thread that holds a mutex inherits the earliest deadline of those that wait for it, and through it those that wait
// for what they hold, over all CPUs: Sha, Rajkumar and Lehoczky, "Priority Inheritance Protocols" (1990), with
// deadlines for priorities. So what a thread waits for is at most the longest time that each mutex in its way is held.
// Who waits without a deadline hands on just the right to run: its holder is not kept from that by a budget that is
// used up.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>

#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/threads/wait_list.hpp"

namespace guest::threads {

/// Held by one thread at a time; it may sleep meanwhile. Given to the most urgent that waits. In threads.
class Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  /// Panics where it can never end: the thread holds the mutex already, or waits for itself through others.
  void lock(std::source_location where = std::source_location::current()) {
    std::uintptr_t owner = 0;
    // Acquire pairs with the release in unlock().
    if (!owner_.compare_exchange_strong(owner, word(current_thread()), std::memory_order_acquire,
                                        std::memory_order_relaxed)) [[unlikely]] {
      lock_slow(where);
    }
  }
  /// False: another thread holds it.
  [[nodiscard]] bool try_lock() {
    std::uintptr_t owner = 0;
    return owner_.compare_exchange_strong(owner, word(current_thread()), std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  /// By the thread that holds it; panics in another one.
  void unlock() {
    std::uintptr_t owner = word(current_thread());
    if (!owner_.compare_exchange_strong(owner, 0, std::memory_order_release, std::memory_order_relaxed)) [[unlikely]] {
      unlock_slow();
    }
  }
  [[nodiscard]] bool held_here() const { return owner() == &current_thread(); }

 private:
  /// Somebody waits, or is about to: unlock() must look.
  static constexpr std::uintptr_t kContended = 1;
  static std::uintptr_t word(const Thread& thread) { return reinterpret_cast<std::uintptr_t>(&thread); }
  /// Null: nobody holds it.
  [[nodiscard]] Thread* owner() const {
    // The word is a thread's address, and the lowest bit of those is 0.
    const std::uintptr_t address = owner_.load(std::memory_order_relaxed) & ~kContended;
    return reinterpret_cast<Thread*>(address);  // NOLINT(performance-no-int-to-ptr)
  }

  void lock_slow(std::source_location where);
  void unlock_slow();
  bool enlist(Waiter& waiter, std::source_location where);
  void hold_contended(Thread& thread);
  void release_contended(Thread& thread);
  static void raise(Thread* holder, sched::Time deadline, Waking& waking);

  std::atomic<std::uintptr_t> owner_{0};
  // Of the mutexes' lock (mutex.cpp).
  WaitList waiters_;
  Mutex* next_contended_ = nullptr;  ///< that the same thread holds
};

/// Holds a mutex while it lives.
class MutexGuard {
 public:
  explicit MutexGuard(Mutex& mutex, std::source_location where = std::source_location::current()) : mutex_(mutex) {
    mutex_.lock(where);
  }
  ~MutexGuard() { mutex_.unlock(); }
  MutexGuard(const MutexGuard&) = delete;
  MutexGuard& operator=(const MutexGuard&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace guest::threads
