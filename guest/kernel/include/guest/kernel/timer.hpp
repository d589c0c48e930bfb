// One-shot timers over one hardware deadline.
#pragma once

#include <cstdint>

#include "guest/kernel/clock.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/hardware_timer.hpp"  // the platform's: the clock and its comparator
#include "guest/kernel/pairing_heap.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/work.hpp"

namespace guest::kernel {

inline constexpr std::uint64_t kNoDeadline = HardwareTimer::kNoDeadline;

/// A deadline that calls a function in the timer's interrupt, or raises a work item there. Owned by its user; linked
/// into the queue while armed.
class Timer {
 public:
  using Function = void (*)(void* context);
  constexpr Timer(Function function, void* context) : function_(function), context_(context) {}
  explicit constexpr Timer(WorkItem& item) : context_(&item) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  [[nodiscard]] bool armed() const { return link_.linked; }

 private:
  friend class TimerQueue;
  static bool is_before(const Timer& a, const Timer& b) {
    return a.deadline_ns_ != b.deadline_ns_ ? a.deadline_ns_ < b.deadline_ns_ : a.sequence_ < b.sequence_;
  }

  Function function_ = nullptr;  ///< null: `context_` is a work item
  void* context_;
  HeapLink<Timer> link_;
  std::uint64_t deadline_ns_ = 0;
  std::uint64_t sequence_ = 0;  ///< of arming
};

/// Of one CPU, the one that makes it: the comparator is that CPU's own. Armed timers, earliest first; equal deadlines
/// in the order in which they were armed. Beside them one more deadline, the scheduler's event, which changes with each
/// switch of threads and so must cost next to nothing.
class TimerQueue {
 public:
  TimerQueue(HardwareTimer& hardware, WorkQueue& work) : hardware_(hardware), work_(work), cpu_(cpu_index()) {}
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// Arms `timer` for the absolute time `deadline_ns` (moves it when armed). From any context of its CPU; on another
  /// one it panics.
  void arm(Timer& timer, std::uint64_t deadline_ns);
  /// Disarms; an item that was already raised still runs. From any context of its CPU; on another one it panics.
  void cancel(Timer& timer);
  /// Sets the hardware to what is due next. Only for a CPU that is to sleep long: what was cancelled, or put off, still
  /// interrupts it once otherwise. Interrupts masked, on its CPU.
  void program();
  /// What on_interrupt() calls when the event is due. Once.
  void set_event_function(Timer::Function function, void* context) {
    event_function_ = function;
    event_context_ = context;
  }
  /// The event is due at `deadline_ns`, instead of when it was before; kNoDeadline: never. On its CPU, interrupts
  /// masked.
  void set_event(std::uint64_t deadline_ns) {
    event_ns_ = deadline_ns;
    // Later than what the hardware is set to: the interrupt that comes first sets it anew.
    if (deadline_ns < programmed_ns_) {
      program();
    }
  }
  /// Calls the functions and raises the items of every timer that is due, sets the next deadline. From the timer's
  /// interrupt, on its CPU.
  void on_interrupt();
  /// When on_interrupt() looked at the clock: for the functions that it calls, the same time for all.
  [[nodiscard]] std::uint64_t interrupt_ns() const { return interrupt_ns_; }
  [[nodiscard]] const HardwareTimer& clock() const { return hardware_; }

 private:
  HardwareTimer& hardware_;
  WorkQueue& work_;
  std::uint32_t cpu_;
  PairingHeap<Timer, &Timer::link_, &Timer::is_before> armed_;
  std::uint64_t sequence_ = 0;
  Timer::Function event_function_ = nullptr;
  void* event_context_ = nullptr;
  std::uint64_t event_ns_ = kNoDeadline;
  std::uint64_t interrupt_ns_ = 0;
  std::uint64_t programmed_ns_ = kNoDeadline;  ///< of the hardware; may be earlier than what is due next
};

/// This CPU's timers. Valid after the CPU has set up its clock.
inline TimerQueue& timers() {
  TimerQueue* const queue = cpu_data().timers;
  require(queue != nullptr, "timers are used before the clock was set up");
  return *queue;
}
/// Of this CPU.
inline void set_timers(TimerQueue& queue) { cpu_data().timers = &queue; }

}  // namespace guest::kernel
