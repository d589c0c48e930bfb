// Which handler belongs to which interrupt, and how often each was taken. The controller is behind an interface.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/trace.hpp"

namespace guest::kernel {

/// Number of an interrupt as the controller knows it (GIC: 0 to 15 software-generated, 16 to 31 private, from 32
/// shared).
enum class IntId : std::uint32_t {};

/// IHI 0069, INTIDs: each CPU has its own of the interrupts below these.
inline constexpr std::uint32_t kSoftwareInterrupts = 16;
inline constexpr std::uint32_t kPrivateInterrupts = 32;

enum class Trigger : std::uint8_t { Level, Edge };

/// What the controller's driver offers.
class InterruptController {
 public:
  /// Largest usable id plus one.
  [[nodiscard]] virtual std::uint32_t count() const = 0;
  /// Sets trigger and priority, unmasks. A shared interrupt is routed to this CPU; of a private one this CPU's is
  /// meant.
  virtual void enable(IntId id, Trigger trigger) = 0;
  virtual void disable(IntId id) = 0;
  /// "GICv2", "GICv3"
  [[nodiscard]] virtual std::string_view name() const = 0;

 protected:
  ~InterruptController() = default;
};

/// Called in the interrupt, on the CPU that took it: moves data, raises work, returns. No floating point, no
/// allocation, no console.
using InterruptHandler = void (*)(void* context);

/// Handlers are attached by one CPU and run on any: a private interrupt on each CPU that has enabled its own, a shared
/// one where it was attached. Counts are kept per CPU, so that two CPUs never write to one counter.
class Interrupts {
 public:
  static constexpr std::uint32_t kMaxIds = 1020;     ///< IHI 0069, INTIDs: SGIs, PPIs and SPIs
  static constexpr std::uint32_t kMaxHandlers = 62;  ///< so that PerCpu is 512 bytes, found by a shift

  struct alignas(kCacheLineBytes) Entry {
    IntId id{};
    std::string_view name;  ///< static storage
    Trigger trigger{};
    InterruptHandler handler = nullptr;
    void* context = nullptr;
  };

  constexpr Interrupts() = default;

  void set_controller(InterruptController& controller) { controller_ = &controller; }
  [[nodiscard]] const InterruptController* controller() const { return controller_; }

  /// Registers the handler of `id` and unmasks it, a private interrupt on this CPU only. False: out of range, taken, or
  /// the table is full.
  [[nodiscard]] bool attach(IntId id, Trigger trigger, std::string_view name, InterruptHandler handler, void* context);

  /// Runs the handler of `id`. An interrupt without a handler is counted and masked, so that it cannot storm. In the
  /// interrupt.
  void dispatch(IntId id);
  /// The controller said "spurious". In the interrupt.
  void count_spurious();

  /// Unmasks the private interrupt `id` on this CPU. False: it is not private, or nobody has attached a handler.
  [[nodiscard]] bool enable_here(IntId id);
  /// Unmasks every software-generated interrupt that has a handler on this CPU: for a CPU that comes online.
  void enable_software_here();

  // Reports, from any context. Each figure is exact; together they may be of different moments.
  [[nodiscard]] std::uint32_t size() const { return used_.load(std::memory_order_acquire); }
  [[nodiscard]] const Entry& entry(std::uint32_t index) const { return entries_[index]; }
  /// Times that the interrupt of entry `index` was taken, on one CPU or on all.
  [[nodiscard]] std::uint64_t count(std::uint32_t index, std::uint32_t cpu) const;
  [[nodiscard]] std::uint64_t count(std::uint32_t index) const;
  /// Interrupts that a CPU took, with a handler or without.
  [[nodiscard]] std::uint64_t taken(std::uint32_t cpu) const;
  /// Software-generated ones among them.
  [[nodiscard]] std::uint64_t software_taken(std::uint32_t cpu) const;
  [[nodiscard]] std::uint64_t unhandled() const;
  [[nodiscard]] std::uint64_t spurious() const;

 private:
  using Count = std::atomic<std::uint64_t>;
  /// Written by its CPU only, in interrupts, which do not nest; read by anyone.
  struct alignas(kCacheLineBytes) PerCpu {
    Count taken[kMaxHandlers] = {};
    Count unhandled{0};
    Count spurious{0};
  };
  static_assert(sizeof(PerCpu) == 512);
  static void increment(Count& count) {
    // No read-modify-write: nobody else writes. Relaxed: a count orders nothing.
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  [[gnu::noinline]] void refuse(IntId id);

  SpinLock lock_{"interrupts", LockRank::Interrupts};  ///< of attach()
  InterruptController* controller_ = nullptr;
  Entry entries_[kMaxHandlers] = {};
  std::atomic<std::uint8_t> index_plus_one_[kMaxIds] = {};  ///< 0: no handler; set when the entry is complete
  std::atomic<std::uint32_t> used_{0};
  PerCpu per_cpu_[kMaxCpus];
};

/// In the way of every interrupt, so inline.
inline void Interrupts::dispatch(IntId id) {
  const auto number = static_cast<std::uint32_t>(id);
  // Acquire pairs with the release in attach().
  const std::uint32_t slot =
      number < kMaxIds ? index_plus_one_[number].load(std::memory_order_acquire) : std::uint8_t{0};
  if (slot == 0) [[unlikely]] {
    refuse(id);
    return;
  }
  increment(per_cpu_[cpu_index()].taken[slot - 1]);
  const Entry& entry = entries_[slot - 1];
  if (trace().on()) [[unlikely]] {
    trace().record(TraceType::InterruptEnter, number);
  }
  entry.handler(entry.context);
  if (trace().on()) [[unlikely]] {
    trace().record(TraceType::InterruptExit, number);
  }
}

/// The machine's interrupts.
extern constinit Interrupts the_interrupts;
inline Interrupts& interrupts() { return the_interrupts; }

}  // namespace guest::kernel
