// Ticket spin lock: fair, interrupts masked while it is held, order checked.
//
//   next_      the ticket that the next comer takes
//   serving_   the ticket that holds the lock; next_ == serving_: nobody does
//
// Every lock has a rank, and a CPU takes locks in rising rank only. So an inversion is found the first time that one of
// its two halves runs, without the other and without the unlucky moment; a recorded graph of orders would need both.
// A second acquisition by the same CPU is a rank that does not rise, so the same comparison finds it. The check is on
// in every build: it is some ten of the instructions of a pair. Hold times are measured where SIS_LOCK_STATISTICS is
// defined: in every host build, and in guest builds configured with -DSIS_LOCK_STATISTICS=ON (`./sis build
// guest-debug`); the command `locks` shows them.
//
// Who waits for a lock has its interrupts masked, so if its holder never releases it, no timer ends the wait: the wait
// itself gives up.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>
#include <string_view>
#include <type_traits>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/critical.hpp"
#include "guest/kernel/lock_classes.hpp"

namespace guest::kernel {

/// The order in which locks are taken: low numbers first, never two of one rank at a time. Locks of a kind that nest in
/// each other (one for each CPU) get neighbouring numbers.
enum class LockRank : std::uint16_t {
  Threads = 200,       ///< the list of threads
  NpuDevice = 205,     ///< npu::DeviceAccelerator
  Wait = 210,          ///< semaphores and conditions
  Mutexes = 220,       ///< who waits for whom
  Interrupts = 300,    ///< kernel::Interrupts
  Heap = 400,          ///< kernel::Heap; takes pages
  Pages = 410,         ///< kernel::PageAllocator
  AddressSpace = 420,  ///< the kernel's translation tables
  ControlSink = 425,   ///< what a control-sink keeps
  Revisions = 427,     ///< llm::package::Revisions
  Tensors = 430,       ///< graph::TensorArena
  NpuLatency = 440,    ///< npu::job_latency()
  NpuHistory = 441,    ///< npu::JobHistory
  AuditQueue = 450,    ///< security::AuditQueue
  Log = 900,           ///< the console: anything may be said under any lock
};

class TextOutput;

/// From any context, interrupt handlers included. Hold it for as few instructions as possible, and never while waiting
/// for another CPU to take an interrupt.
class SpinLock {
 public:
  /// A wait of so many seconds, as far as the CPU that waits has seen them pass (SeenPeriods), is a panic.
  static constexpr unsigned kMaxWaitSeconds = 10;

  /// `name` is of static storage.
  constexpr SpinLock(std::string_view name, LockRank rank) : name_(name), rank_(rank) {}
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  /// Masks interrupts on this CPU and waits for the lock, first come, first served. Returns what release() wants.
  /// Panics, naming both locks and both places, when this CPU holds a lock of the same or of a higher rank.
  InterruptState acquire(std::source_location where = std::source_location::current());
  /// Releases and puts the interrupt mask back. Locks are released in the reverse order of their acquisition.
  void release(InterruptState before);
  // The same where interrupts are masked already, and stay so after the release.
  void acquire_masked(std::source_location where = std::source_location::current());
  void release_masked();

  /// Nobody holds it or waits for it: whoever held it before, as far as the caller knows, has released it, and all that
  /// was written under it is visible.
  [[nodiscard]] bool free() const {
    // Acquire pairs with the release in release(). The other is no older than what the caller knows of.
    return serving_.load(std::memory_order_acquire) == next_.load(std::memory_order_relaxed);
  }

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
    LockClass* of_name = nullptr;
    void begin(bool waited, std::string_view name);
    void end();
    [[nodiscard]] LockStatistics read() const;
  };
  struct NoTimes {
    void begin(bool, std::string_view) {}
    void end() {}
    [[nodiscard]] static LockStatistics read() { return {}; }
  };

  /// The rest of acquire_masked() where somebody else holds the lock.
  [[gnu::noinline]] void wait_for(std::uint32_t ticket, std::source_location where);
  [[noreturn, gnu::noinline]] void refuse_to_wait(std::source_location where) const;
  [[noreturn, gnu::noinline]] void refuse_acquire(const SpinLock& last, std::source_location where) const;
  [[noreturn, gnu::noinline]] void refuse_release() const;

  friend void describe_locks(TextOutput& output, std::uint32_t cpu);
  [[nodiscard]] bool held_by(std::uint32_t cpu) const;
  void describe_holder(TextOutput& output) const;

  std::atomic<std::uint32_t> next_{0};
  std::atomic<std::uint32_t> serving_{0};
  // The holder's: what it took before this lock, and where it took this one.
  const SpinLock* outer_ = nullptr;
  std::source_location where_{};
  std::string_view name_;
  LockRank rank_;
  [[no_unique_address]] std::conditional_t<kLockStatistics, Times, NoTimes> times_;
};

// Two pairs are in the way of every event, so what nobody waits for is inline.

inline void SpinLock::acquire_masked(std::source_location where) {
  CpuData& cpu = cpu_data();
  if (cpu.innermost_lock != nullptr && cpu.innermost_lock->rank_ >= rank_) [[unlikely]] {
    refuse_acquire(*cpu.innermost_lock, where);
  }
  // Relaxed: the ticket only orders the comers. What the last holder wrote comes with the acquire below.
  const std::uint32_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
  // Acquire pairs with the release in release(): everything under the lock before is visible from here on.
  if (serving_.load(std::memory_order_acquire) != ticket) [[unlikely]] {
    wait_for(ticket, where);
    return;
  }
  outer_ = cpu.innermost_lock;
  where_ = where;
  cpu.innermost_lock = this;
  times_.begin(false, name_);
}

inline void SpinLock::release_masked() {
  times_.end();
  CpuData& cpu = cpu_data();
  if (cpu.innermost_lock != this) [[unlikely]] {
    refuse_release();
  }
  cpu.innermost_lock = outer_;
  // Only the holder writes serving_, so its own value needs no order; release pairs with the acquire in acquire().
  serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

inline InterruptState SpinLock::acquire(std::source_location where) {
  const InterruptState before = mask_interrupts();
  acquire_masked(where);
  return before;
}

inline void SpinLock::release(InterruptState before) {
  release_masked();
  restore_interrupts(before);
}

/// This CPU holds one. Meaningful with interrupts masked.
[[nodiscard]] inline bool holds_spin_lock() { return cpu_data().innermost_lock != nullptr; }

/// What the CPU `cpu` holds and waits for: "; holds spin lock 'heap' since heap.cpp:10; waits for ...", nothing when it
/// does neither. For reports: reads what only that CPU writes, so of a CPU that goes on it may be wrong.
void describe_locks(TextOutput& output, std::uint32_t cpu);

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

/// Holds a lock while it lives, where interrupts are masked longer than that.
class MaskedSpinGuard {
 public:
  explicit MaskedSpinGuard(SpinLock& lock, std::source_location where = std::source_location::current()) : lock_(lock) {
    lock_.acquire_masked(where);
  }
  ~MaskedSpinGuard() { lock_.release_masked(); }
  MaskedSpinGuard(const MaskedSpinGuard&) = delete;
  MaskedSpinGuard& operator=(const MaskedSpinGuard&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace guest::kernel
