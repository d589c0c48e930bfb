// Ticket spin lock: fair, interrupts masked while it is held, order checked.
//
//   next_      the ticket that the next comer takes
//   serving_   the ticket that holds the lock; next_ == serving_: nobody does
//
// Every lock has a rank, and a CPU takes locks in rising rank only. So an inversion is found the first time that one of
// its two halves runs, without the other and without the unlucky moment; a recorded graph of orders would need both.
// A second acquisition by the same CPU is a rank that does not rise, so the same comparison finds it. The check is on
// in every build: it is some ten of the instructions of a pair. Hold times are measured where SIS_LOCK_STATISTICS is
// defined: in every host build, and in guest builds configured with -DSIS_LOCK_STATISTICS=ON.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>
#include <string_view>
#include <type_traits>

#include "guest/kernel/critical.hpp"

namespace guest::kernel {

/// The order in which locks are taken: low numbers first, never two of one rank at a time. Locks of a kind that nest in
/// each other (one for each CPU) get neighbouring numbers.
enum class LockRank : std::uint16_t {
  Threads = 200,       ///< the list of threads
  Wait = 210,          ///< semaphores and conditions
  Mutexes = 220,       ///< who waits for whom
  Interrupts = 300,    ///< kernel::Interrupts
  Heap = 400,          ///< kernel::Heap; takes pages
  Pages = 410,         ///< kernel::PageAllocator
  AddressSpace = 420,  ///< the kernel's translation tables
  Log = 900,           ///< the console: anything may be said under any lock
};

#ifdef SIS_LOCK_STATISTICS
inline constexpr bool kLockStatistics = true;
#else
inline constexpr bool kLockStatistics = false;
#endif

/// Times are in units of tick_count().
struct LockStatistics {
  std::uint64_t acquisitions;
  std::uint64_t contended;  ///< of these, how many had to wait
  std::uint64_t total_held_ticks;
  std::uint64_t max_held_ticks;
};

/// From any context, interrupt handlers included. Hold it for as few instructions as possible, and never while waiting
/// for another CPU to take an interrupt.
class SpinLock {
 public:
  /// `name` is of static storage.
  constexpr SpinLock(std::string_view name, LockRank rank) : name_(name), rank_(rank) {}
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  /// Masks interrupts on this CPU and waits for the lock, first come, first served. Returns what release() wants.
  /// Panics, naming both locks and both places, when this CPU holds a lock of the same or of a higher rank.
  InterruptState acquire(std::source_location where = std::source_location::current());
  /// Releases and puts the interrupt mask back. Locks are released in the reverse order of their acquisition.
  void release(InterruptState before);

  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] LockRank rank() const { return rank_; }
  /// This CPU holds the lock. Meaningful with interrupts masked.
  [[nodiscard]] bool held_here() const;
  /// All zero without SIS_LOCK_STATISTICS. From any context; the figures may be of different moments.
  [[nodiscard]] LockStatistics statistics() const { return times_.read(); }

 private:
  // Written by the holder only, read by anyone: atomic so that a reader sees whole numbers, relaxed because they order
  // nothing.
  struct Times {
    std::atomic<std::uint64_t> acquisitions{0};
    std::atomic<std::uint64_t> contended{0};
    std::atomic<std::uint64_t> total_ticks{0};
    std::atomic<std::uint64_t> max_ticks{0};
    std::uint64_t since_tick = 0;
    void begin(bool waited);
    void end();
    [[nodiscard]] LockStatistics read() const;
  };
  struct NoTimes {
    void begin(bool) {}
    void end() {}
    [[nodiscard]] static LockStatistics read() { return {}; }
  };

  /// Acquires, as the load in acquire(). Out of line: what nobody waits for should not save registers for it.
  [[gnu::noinline]] void wait_for(std::uint32_t ticket) const;
  [[noreturn, gnu::noinline]] void refuse_acquire(const SpinLock& last, std::source_location where) const;
  [[noreturn, gnu::noinline]] void refuse_release() const;

  std::atomic<std::uint32_t> next_{0};
  std::atomic<std::uint32_t> serving_{0};
  // The holder's: what it took before this lock, and where it took this one.
  const SpinLock* outer_ = nullptr;
  std::source_location where_{};
  std::string_view name_;
  LockRank rank_;
  [[no_unique_address]] std::conditional_t<kLockStatistics, Times, NoTimes> times_;
};

/// This CPU holds one. Meaningful with interrupts masked.
[[nodiscard]] bool holds_spin_lock();

/// Holds a lock while it lives.
class SpinGuard {
 public:
  explicit SpinGuard(SpinLock& lock, std::source_location where = std::source_location::current())
      : lock_(lock), before_(lock.acquire(where)) {}
  ~SpinGuard() { lock_.release(before_); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  SpinLock& lock_;
  InterruptState before_;
};

}  // namespace guest::kernel
