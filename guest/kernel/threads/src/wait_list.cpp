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

namespace detail {

std::optional<WaitResult> end_wait(Waiter& waiter, WaitList& list, kernel::SpinLock& lock, std::uint64_t deadline_ns,
                                   bool stoppable) {
  const kernel::SpinGuard guard(lock);
  if (waiter.signalled.load(std::memory_order_relaxed)) {
    return WaitResult::Signalled;
  }
  const bool stopped = stoppable && waiter.thread.stop_requested();
  if (stopped || (deadline_ns < kForever && dispatcher().timers().clock().now_ns() >= deadline_ns)) {
    list.remove(waiter);
    return stopped ? WaitResult::Stopped : WaitResult::TimedOut;
  }
  return std::nullopt;
}

}  // namespace detail

}  // namespace guest::threads
