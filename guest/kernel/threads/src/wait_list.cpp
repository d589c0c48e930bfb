#include "guest/kernel/threads/wait_list.hpp"

#include "guest/kernel/threads/dispatcher.hpp"

namespace guest::threads {

Waiter::Waiter() : thread(current_thread()), deadline(thread.deadline()) {}

void WaitList::add(Waiter& waiter) {
  Waiter* next = waiters_.front();
  while (next != nullptr && next->deadline <= waiter.deadline) {
    next = next->link.next;
  }
  if (next == nullptr) {
    waiters_.push_back(waiter);
  } else {
    waiters_.insert_before(*next, waiter);
  }
}

WaitResult wait_for_signal(Waiter& waiter, WaitList& list, kernel::SpinLock& lock, std::uint64_t deadline_ns,
                           bool stoppable) {
  Dispatcher& here = dispatcher();
  for (;;) {
    // Whoever was asked to end before may have used up that call already, in a wait that is not to be stopped.
    if (!stoppable || !waiter.thread.stop_requested()) {
      here.park_until(deadline_ns);
    }
    // The usual end, without the lock: but not before the signaller has released it, since what it belongs to may be
    // gone after this. Acquire pairs with the release in signal_first().
    if (waiter.signalled.load(std::memory_order_acquire) && lock.free()) [[likely]] {
      return WaitResult::Signalled;
    }
    const kernel::SpinGuard guard(lock);
    if (waiter.signalled.load(std::memory_order_relaxed)) {
      return WaitResult::Signalled;
    }
    const bool stopped = stoppable && waiter.thread.stop_requested();
    if (stopped || (deadline_ns != kForever && here.timers().clock().now_ns() >= deadline_ns)) {
      list.remove(waiter);
      return stopped ? WaitResult::Stopped : WaitResult::TimedOut;
    }
  }
}

}  // namespace guest::threads
