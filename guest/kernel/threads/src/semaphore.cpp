#include "guest/kernel/threads/semaphore.hpp"

#include <limits>

#include "guest/kernel/panic.hpp"

namespace guest::threads {

void Semaphore::signal() {
  Waking waking;
  const kernel::MaskedSpinGuard guard(lock_);
  if (!waiters_.signal_first(waking)) {
    kernel::require(count_ != std::numeric_limits<std::uint32_t>::max(), "a semaphore overflows");
    ++count_;
  }
}

bool Semaphore::try_wait() {
  const kernel::SpinGuard guard(lock_);
  if (count_ == 0) {
    return false;
  }
  --count_;
  return true;
}

// No stack protector: there is no array to overflow, and looking after it takes ten instructions of each wait.
[[gnu::no_stack_protector]] WaitResult Semaphore::wait(std::uint64_t deadline_ns) {
  Waiter waiter;
  {
    const kernel::SpinGuard guard(lock_);
    if (count_ != 0) {
      --count_;
      return WaitResult::Signalled;
    }
    waiters_.add(waiter);
  }
  return wait_for_signal(waiter, waiters_, lock_, deadline_ns, true);
}

}  // namespace guest::threads
