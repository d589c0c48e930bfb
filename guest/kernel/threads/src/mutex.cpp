#include "guest/kernel/threads/mutex.hpp"

#include <algorithm>

#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::threads {
namespace {

/// Of who waits for which mutex, and of the deadlines that come from that. One for all mutexes: deadlines pass from
/// mutex to mutex along a chain of threads, and locks of each would have to be taken in the chain's order.
constinit kernel::SpinLock mutexes{"mutexes", kernel::LockRank::Mutexes};

/// What `holder` inherits from one that waits with `deadline`. Best-effort threads have none to hand on, but a holder
/// that is out of its server's budget would keep them waiting until its next period.
sched::Time inheritance(const Thread& holder, sched::Time deadline) {
  return holder.server() == nullptr ? deadline : std::min(deadline, sched::kBestEffort);
}

}  // namespace

/// The holder, and whoever has what the holder waits for, run with this deadline at the latest.
void Mutex::raise(Thread* holder, sched::Time deadline, Waking& waking) {
  while (holder != nullptr && holder->inherited_.load(std::memory_order_relaxed) > inheritance(*holder, deadline)) {
    waking.inherit(*holder, inheritance(*holder, deadline));
    Mutex* const next = holder->waits_for_;
    if (next == nullptr) {
      return;
    }
    Waiter& waiter = *holder->waiter_;
    if (waiter.deadline > deadline) {
      next->waiters_.remove(waiter);
      waiter.deadline = deadline;
      next->waiters_.add(waiter);
    }
    holder = next->owner();
  }
}

void Mutex::hold_contended(Thread& thread) {
  next_contended_ = thread.contended_;
  thread.contended_ = this;
}

void Mutex::release_contended(Thread& thread) {
  for (Mutex** link = &thread.contended_; *link != nullptr; link = &(*link)->next_contended_) {
    if (*link == this) {
      *link = next_contended_;
      next_contended_ = nullptr;
      return;
    }
  }
}

/// Under the lock. False: the mutex was free, and is the thread's now.
bool Mutex::enlist(Waiter& waiter, std::source_location where) {
  std::uintptr_t seen = owner_.load(std::memory_order_relaxed);
  // The holder takes no notice of the lock while nobody waits, so it may let go at any moment.
  for (;;) {
    if (seen == 0) {
      if (owner_.compare_exchange_weak(seen, word(waiter.thread), std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        return false;
      }
    } else if (owner_.compare_exchange_weak(seen, seen | kContended, std::memory_order_relaxed)) {
      break;
    }
  }
  for (const Thread* holder = owner(); holder != nullptr;
       holder = holder->waits_for_ == nullptr ? nullptr : holder->waits_for_->owner()) {
    if (holder == &waiter.thread) {
      kernel::panic_at(where, "deadlock: thread {} ({}) locks a mutex that it holds, or that waits for it",
                       waiter.thread.id(), waiter.thread.name());
    }
  }
  if ((seen & kContended) == 0) {
    hold_contended(*owner());
  }
  waiter.thread.waits_for_ = this;
  waiter.thread.waiter_ = &waiter;
  waiters_.add(waiter);
  return true;
}

void Mutex::lock_slow(std::source_location where) {
  Waiter waiter;
  {
    Waking waking;
    const kernel::MaskedSpinGuard guard(mutexes);
    if (!enlist(waiter, where)) {
      return;
    }
    raise(owner(), waiter.deadline, waking);
  }
  // Not to be stopped: whoever locks a mutex goes on to what it protects.
  (void)wait_for_signal(waiter, waiters_, mutexes, kForever, false);
}

void Mutex::unlock_slow() {
  Thread& self = current_thread();
  kernel::require(owner() == &self, "a mutex is unlocked by a thread that does not hold it");
  Waking waking;
  const kernel::MaskedSpinGuard guard(mutexes);
  // The bit is set, so there is a waiter: it went into the list under the same lock.
  Thread& next = waiters_.first()->thread;
  release_contended(self);
  next.waits_for_ = nullptr;
  (void)waiters_.signal_first(waking);
  // Relaxed: the waiter takes the lock before it goes on, or finds it free, and what was written before is visible
  // then.
  owner_.store(word(next) | (waiters_.empty() ? 0 : kContended), std::memory_order_relaxed);
  if (!waiters_.empty()) {
    hold_contended(next);
    raise(&next, waiters_.first()->deadline, waking);
  }
  // What is left to inherit comes from the other mutexes that it holds.
  sched::Time earliest = sched::kNever;
  for (const Mutex* held = self.contended_; held != nullptr; held = held->next_contended_) {
    earliest = std::min(earliest, inheritance(self, held->waiters_.first()->deadline));
  }
  if (self.inherited_.load(std::memory_order_relaxed) != earliest) {
    waking.inherit(self, earliest);
  }
}

}  // namespace guest::threads
