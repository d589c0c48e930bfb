// Calls from one CPU to another: what the sender queues and the target's interrupt handler runs.
//
//   CPU 0 --push()--> [ring 0 of the target] --+
//   CPU 2 --push()--> [ring 2 of the target] --+--run()--> function(context)     on the target
//                      pending: bits 0 and 2 --+
//
// Each ring has one writer (its CPU, interrupts masked) and one reader (the target's handler), so there is no lock and
// no loop that another CPU can prolong. The bits say which rings to look at, and whether the target must be told: only
// who finds no bit set interrupts it.
#pragma once

#include <atomic>
#include <cstdint>

#include "guest/kernel/cpu.hpp"

namespace guest::kernel {

/// Runs on the target in its interrupt handler: short, and it waits for nobody.
using CallFunction = void (*)(void* context);

struct Call {
  CallFunction function;
  void* context;
};

enum class [[nodiscard]] CallPush : std::uint8_t {
  Full,         ///< this CPU has CallRing::kCapacity calls under way to that one; nothing changed
  Queued,       ///< another call is waiting there: whoever queued it has told the target, or is about to
  QueuedFirst,  ///< the target must be interrupted
};

/// Calls of one CPU to one other.
class CallRing {
 public:
  static constexpr std::uint32_t kCapacity = 16;

  constexpr CallRing() = default;
  CallRing(const CallRing&) = delete;
  CallRing& operator=(const CallRing&) = delete;

  /// Writer only. False: full.
  [[nodiscard]] bool push(const Call& call);
  /// Reader only: runs the oldest call. False: there is none.
  bool run_one();

 private:
  // Both count up for ever; their difference is what is in the ring. The reader's in a line of its own.
  alignas(kCacheLineBytes) std::atomic<std::uint32_t> written_{0};
  Call calls_[kCapacity] = {};
  alignas(kCacheLineBytes) std::atomic<std::uint32_t> read_{0};
};

/// The calls to one CPU.
class CallQueue {
 public:
  constexpr CallQueue() = default;
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  /// Queues `call` in the name of the CPU `source`, which is the calling one, with interrupts masked.
  CallPush push(std::uint32_t source, const Call& call);
  /// On the target, in its interrupt handler: runs what is queued, the calls of one CPU in their order.
  void run();
  /// Calls run since boot. From any context.
  [[nodiscard]] std::uint64_t runs() const { return runs_.load(std::memory_order_relaxed); }

 private:
  CallRing from_[kMaxCpus];
  /// A bit for each CPU whose ring has something.
  alignas(kCacheLineBytes) std::atomic<std::uint32_t> pending_{0};
  std::atomic<std::uint64_t> runs_{0};
};

}  // namespace guest::kernel
