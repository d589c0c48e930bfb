// Time that a hypervisor took from a CPU: the CPU wanted to run, and something else had the processor. Nobody is
// charged for it (docs/scheduler.md, "Stolen time").
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "guest/kernel/sched/cbs.hpp"

namespace guest::sched {

/// Nanoseconds that were stolen from one CPU since it was made. The hypervisor adds to them while the CPU does not run.
using StolenCounter = std::atomic<std::uint64_t>;

/// Such a counter, or none, and how much of it has been accounted for. The counter is input: whatever it says, no more
/// is taken from a time than that time.
class StolenTime {
 public:
  /// `counter` lives for ever; null: nobody tells.
  explicit constexpr StolenTime(const StolenCounter* counter)
      : counter_(counter), accounted_(counter == nullptr ? 0 : read(*counter)) {}

  [[nodiscard]] bool is_told() const { return counter_ != nullptr; }
  /// What the counter says; nothing: nobody tells. From any CPU.
  [[nodiscard]] std::optional<std::uint64_t> total_ns() const {
    return counter_ == nullptr ? std::nullopt : std::optional(read(*counter_));
  }
  /// How much of the `elapsed` nanoseconds since the last call was stolen. If it is told.
  [[nodiscard]] Time take(Time elapsed);
  /// What take() would say now.
  [[nodiscard]] Time pending(Time elapsed) const;

 private:
  /// Relaxed: the CPU that is told of does not run while the hypervisor writes, so there is nothing to order.
  static std::uint64_t read(const StolenCounter& counter) { return counter.load(std::memory_order_relaxed); }

  const StolenCounter* counter_;
  std::uint64_t accounted_;
  bool deferred_ = false;  ///< the last call left more for the next one than it was told had elapsed
};

}  // namespace guest::sched
