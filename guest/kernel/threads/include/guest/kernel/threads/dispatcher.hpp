// What runs on a CPU: the scheduler says which thread, the dispatcher makes it so.
#pragma once

#include <atomic>
#include <cstdint>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/critical.hpp"
#include "guest/kernel/sched/cpu_scheduler.hpp"
#include "guest/kernel/threads/thread.hpp"
#include "guest/kernel/timer.hpp"
#include "guest/kernel/trace.hpp"

namespace guest::threads {

/// Threads about which other CPUs have asked this CPU something; newest first, lock-free.
class Inbox {
 public:
  /// From any context, on any CPU. True: it was empty, so the CPU has to be told.
  bool push(Thread& thread);
  /// All that are in it, oldest first, linked by next_posted_. On its CPU.
  Thread* take();

 private:
  std::atomic<Thread*> newest_ = nullptr;
};

/// Of one CPU; made there, once, for ever. Everything but the inbox is touched by that CPU only, with interrupts
/// masked.
class Dispatcher {
 public:
  /// The caller, on the stack that its CPU has had so far, becomes the CPU's idle thread. `stolen` lives for ever;
  /// null: nobody tells what is stolen from this CPU.
  explicit Dispatcher(kernel::TimerQueue& timers, sched::Ppm bound = sched::kDefaultBound,
                      const sched::StolenCounter* stolen = nullptr);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  [[nodiscard]] Thread& current() const { return *current_; }
  [[nodiscard]] bool idle() const { return current_ == &idle_; }
  [[nodiscard]] sched::Time now() const { return static_cast<sched::Time>(timers_.clock().now_ns()); }
  [[nodiscard]] const sched::CpuScheduler& scheduler() const { return scheduler_; }
  [[nodiscard]] kernel::TimerQueue& timers() { return timers_; }
  /// Switches of threads since boot; from anywhere.
  [[nodiscard]] std::uint64_t switches() const { return switches_.load(std::memory_order_relaxed); }
  /// The clock, and the processor time that the running thread has had by then.
  struct Moment {
    sched::Time now;
    sched::Time ran;
  };
  [[nodiscard]] Moment moment() const;
  /// Processor time that the running thread has had, up to now.
  [[nodiscard]] sched::Time current_ran() const { return moment().ran; }

  /// Around the handlers of an interrupt. What they have woken runs when the interrupt is left, if it is more urgent.
  void enter_interrupt() { in_interrupt_ = true; }
  void leave_interrupt() {
    in_interrupt_ = false;
    if (reschedule_) {
      reschedule(now());
    }
  }
  [[nodiscard]] bool in_interrupt() const { return in_interrupt_; }
  /// Does what other CPUs have asked for. In the interrupt that kick() sends.
  void run_inbox();

  /// The running thread lets the others of its server, or of the best-effort class, go first.
  void yield();
  /// The running thread stops until somebody unparks it, unless somebody has since it parked last. May return without
  /// either: whoever parks looks for the reason. In threads, which hold no spin lock.
  void park();
  /// park(), and returns at `deadline_ns` at the latest.
  void park_until(std::uint64_t deadline_ns);
  /// The running thread is no more.
  [[noreturn]] void exit_current();

  /// Promises a server its budget on this CPU. From any CPU, under the lock of place().
  [[nodiscard]] sched::CpuScheduler& admissions() { return scheduler_; }

 private:
  friend class Thread;
  friend class Threads;
  friend class Waking;

  static void thread_entry();
  [[nodiscard]] Moment moment_without_stolen() const;
  void post(Thread& thread, std::uint32_t what);
  void unpark(Thread& thread, sched::Time now);
  void inherit(Thread& thread);
  /// After threads were woken: to whom the CPU belongs now. Interrupts were as `before` says.
  void settle(kernel::InterruptState before, sched::Time now);
  void reschedule(sched::Time now);
  void run(sched::Task* task);
  void switch_to(Thread& next);
  void finish_switch() {
    if (exited_ != nullptr) [[unlikely]] {
      bury_exited();  // nobody is on its stack any more
    }
  }
  void bury_exited();
  static void on_timeout(void* thread);

  Thread* current_;
  Thread* exited_ = nullptr;  ///< that the last switch came from, if it is no more
  bool in_interrupt_ = false;
  bool reschedule_ = false;  ///< something has changed that choose() looks at
  std::atomic<std::uint64_t> switches_{0};
  kernel::TimerQueue& timers_;
  sched::CpuScheduler scheduler_;
  Inbox inbox_;
  Thread idle_;
};

/// In the way of every event, so inline.
inline void Dispatcher::unpark(Thread& thread, sched::Time now) {
  if (thread.state_ != ThreadState::Blocked) [[unlikely]] {
    thread.unparked_ = true;
    return;
  }
  thread.state_ = ThreadState::Ready;
  if (kernel::trace().on()) [[unlikely]] {
    kernel::trace().record(kernel::TraceType::ThreadWake, thread.id_, thread.cpu_);
  }
  scheduler_.wake(thread, now);
  reschedule_ = true;
}

/// Around each execution of a graph's operator, so inline.
inline Dispatcher::Moment Dispatcher::moment() const {
  const kernel::CriticalSection section;
  const sched::Time at = now();
  if (scheduler_.stolen().is_told()) [[unlikely]] {
    return moment_without_stolen();
  }
  return {.now = at, .ran = scheduler_.running_ran(at)};
}

inline void Dispatcher::settle(kernel::InterruptState before, sched::Time now) {
  if (!reschedule_) [[unlikely]] {
    return;
  }
  if (kernel::interrupts_were_on(before)) [[likely]] {
    reschedule(now);
  } else {
    timers_.set_event(0);  // an interrupt as soon as they are not masked any more
  }
}

namespace detail {
/// Written by each CPU for itself, once; read by the others.
extern constinit std::atomic<Dispatcher*> dispatchers[kernel::kMaxCpus];
[[noreturn]] void refuse_threads();
}  // namespace detail

/// Of this CPU. Null until it has begun with threads.
inline Dispatcher* find_dispatcher() { return kernel::cpu_data().dispatcher; }
/// Of the CPU `cpu`; null where there is none.
inline Dispatcher* find_dispatcher(std::uint32_t cpu) {
  // Acquire pairs with the release in the constructor: the dispatcher is complete.
  return cpu < kernel::kMaxCpus ? detail::dispatchers[cpu].load(std::memory_order_acquire) : nullptr;
}
/// Of this CPU, which has one. Where the caller can move to no other CPU: no thread does.
inline Dispatcher& dispatcher() {
  Dispatcher* const here = find_dispatcher();
  if (here == nullptr) [[unlikely]] {
    detail::refuse_threads();
  }
  return *here;
}
inline Thread& current_thread() { return dispatcher().current(); }

/// Threads are woken while one of these lives; at its end the CPU goes to whom it belongs then. Interrupts are masked
/// meanwhile. From any context; where interrupts were masked already the switch waits until they are not. Declare it
/// before a MaskedSpinGuard, so that the lock is free when the CPU changes hands.
class Waking {
 public:
  Waking() : before_(kernel::mask_interrupts()) {}
  ~Waking() {
    if (here_ != nullptr && !here_->in_interrupt_) {  // leave_interrupt() does it there
      here_->settle(before_, woken_at_);
    }
    kernel::restore_interrupts(before_);
  }
  Waking(const Waking&) = delete;
  Waking& operator=(const Waking&) = delete;
  /// Of a thread that is not gone: the caller holds a reference, or a lock without which it cannot go.
  void unpark(Thread& thread) {
    if (thread.cpu_ == kernel::cpu_index()) {
      here_ = find_dispatcher();
      woken_at_ = here_->now();
      here_->unpark(thread, woken_at_);
    } else {
      unpark_elsewhere(thread);
    }
  }
  /// `thread` runs with this deadline at the latest from now on (CpuScheduler::inherit).
  void inherit(Thread& thread, sched::Time deadline);

 private:
  static void unpark_elsewhere(Thread& thread);

  kernel::InterruptState before_;
  Dispatcher* here_ = nullptr;  ///< of this CPU, if something has changed for its threads
  /// When that was: also when the CPU changes hands, since little lies between and no interrupt, and reading the clock
  /// again would cost as much as that.
  sched::Time woken_at_ = 0;
};

inline bool WaitList::signal_first(Waking& waking) {
  Waiter* const first = waiters_.front();
  if (first == nullptr) {
    return false;
  }
  (void)waiters_.pop_front();
  // Release pairs with the acquire in wait_for_signal(): who sees it knows that the lock is taken.
  first->signalled.store(true, std::memory_order_release);
  // Under the lock: without it the waiter does not go on, so its thread is still there.
  waking.unpark(first->thread);
  return true;
}

inline WaitResult wait_for_signal(Waiter& waiter, WaitList& list, kernel::SpinLock& lock, std::uint64_t deadline_ns,
                                  bool stoppable) {
  for (;;) {
    // Whoever was asked to end before may have used up that call already, in a wait that is not to be stopped.
    if (!stoppable || !waiter.thread.stop_requested()) {
      dispatcher().park_until(deadline_ns);
    }
    // The usual end, without the lock: but not before the signaller has released it, since what it belongs to may be
    // gone after this. Acquire pairs with the release in signal_first().
    if (waiter.signalled.load(std::memory_order_acquire) && lock.free()) [[likely]] {
      return WaitResult::Signalled;
    }
    if (const std::optional<WaitResult> result = detail::end_wait(waiter, list, lock, deadline_ns, stoppable)) {
      return *result;
    }
  }
}

}  // namespace guest::threads
