#include "guest/kernel/threads/condition.hpp"

namespace guest::threads {

WaitResult Condition::wait(Mutex& mutex, std::uint64_t deadline_ns) {
  Waiter waiter;
  {
    const kernel::SpinGuard guard(lock_);
    waiters_.add(waiter);
  }
  mutex.unlock();
  const WaitResult result = wait_for_signal(waiter, waiters_, lock_, deadline_ns, true);
  mutex.lock();
  return result;
}

void Condition::notify_one() {
  Waking waking;
  const kernel::MaskedSpinGuard guard(lock_);
  (void)waiters_.signal_first(waking);
}

void Condition::notify_all() {
  Waking waking;
  const kernel::MaskedSpinGuard guard(lock_);
  while (waiters_.signal_first(waking)) {
  }
}

}  // namespace guest::threads
