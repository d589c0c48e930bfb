// One-shot timers over one hardware deadline.
#pragma once

#include <cstdint>

#include "guest/kernel/clock.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/work.hpp"

namespace guest::kernel {

inline constexpr std::uint64_t kNoDeadline = ~std::uint64_t{0};

/// The hardware's comparator.
class DeadlineTimer : public Clock {
 public:
  /// Asks for an interrupt at `deadline_ns` of now_ns(), at once when that has passed; kNoDeadline: none. Replaces the
  /// earlier request. Interrupts masked.
  virtual void set_deadline(std::uint64_t deadline_ns) = 0;

 protected:
  ~DeadlineTimer() = default;
};

/// A deadline that raises a work item. Owned by its user; linked into the queue while armed.
class Timer {
 public:
  explicit constexpr Timer(WorkItem& item) : item_(&item) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  [[nodiscard]] bool armed() const { return armed_; }

 private:
  friend class TimerQueue;
  WorkItem* item_;
  Timer* next_ = nullptr;
  std::uint64_t deadline_ns_ = 0;
  bool armed_ = false;
};

/// Of one CPU, the one that makes it: the comparator is that CPU's own. Armed timers, earliest first; equal deadlines
/// in the order in which they were armed. Few timers are armed at a time, so insertion walks a list.
class TimerQueue {
 public:
  TimerQueue(DeadlineTimer& hardware, WorkQueue& work) : hardware_(hardware), work_(work), cpu_(cpu_index()) {}
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// Arms `timer` for the absolute time `deadline_ns` (moves it when armed). From any context of its CPU; on another
  /// one it panics.
  void arm(Timer& timer, std::uint64_t deadline_ns);
  /// Disarms; an item that was already raised still runs. From any context of its CPU; on another one it panics.
  void cancel(Timer& timer);
  /// Raises the items of every timer that is due, sets the next deadline. From the timer's interrupt.
  void on_interrupt();
  [[nodiscard]] const Clock& clock() const { return hardware_; }

 private:
  void unlink(Timer& timer);
  void program();

  DeadlineTimer& hardware_;
  WorkQueue& work_;
  std::uint32_t cpu_;
  Timer* first_ = nullptr;
};

/// The boot CPU's timers. Valid after the kernel has set up its clock.
TimerQueue& timers();
void set_timers(TimerQueue& queue);

}  // namespace guest::kernel
