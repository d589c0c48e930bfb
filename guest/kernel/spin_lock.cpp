#include "guest/kernel/spin_lock.hpp"

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::kernel {
namespace {

/// The lock that this CPU took last and holds; the others hang on it by outer_. Only that CPU touches it, with
/// interrupts masked, so it is not atomic.
struct alignas(kCacheLineBytes) Innermost {
  const SpinLock* lock = nullptr;
};
constinit Innermost innermost[kMaxCpus];

}  // namespace

InterruptState SpinLock::acquire(std::source_location where) {
  const InterruptState before = mask_interrupts();
  Innermost& held = innermost[cpu_index()];
  if (held.lock != nullptr && held.lock->rank_ >= rank_) [[unlikely]] {
    refuse_acquire(*held.lock, where);
  }
  // Relaxed: the ticket only orders the comers. What the last holder wrote comes with the acquire below.
  const std::uint32_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
  // Acquire pairs with the release in release(): everything under the lock before is visible from here on.
  const bool waits = serving_.load(std::memory_order_acquire) != ticket;
  if (waits) [[unlikely]] {
    wait_for(ticket);
  }
  outer_ = held.lock;
  where_ = where;
  held.lock = this;
  times_.begin(waits);
  return before;
}

void SpinLock::wait_for(std::uint32_t ticket) const {
  while (serving_.load(std::memory_order_acquire) != ticket) {
    spin_pause();
  }
}

void SpinLock::release(InterruptState before) {
  times_.end();
  Innermost& held = innermost[cpu_index()];
  if (held.lock != this) [[unlikely]] {
    refuse_release();
  }
  held.lock = outer_;
  // Only the holder writes serving_, so its own value needs no order; release pairs with the acquire in acquire().
  serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  restore_interrupts(before);
}

bool holds_spin_lock() { return innermost[cpu_index()].lock != nullptr; }

bool SpinLock::held_here() const {
  for (const SpinLock* lock = innermost[cpu_index()].lock; lock != nullptr; lock = lock->outer_) {
    if (lock == this) {
      return true;
    }
  }
  return false;
}

void SpinLock::refuse_acquire(const SpinLock& last, std::source_location where) const {
  if (held_here()) {
    panic_at(where, "spin lock '{}' is taken at {}:{} by CPU {}, which holds it since {}:{}", name_, where.file_name(),
             where.line(), cpu_index(), where_.file_name(), where_.line());
  }
  panic_at(where, "lock order: CPU {} takes '{}' (rank {}) at {}:{} and holds '{}' (rank {}) since {}:{}", cpu_index(),
           name_, static_cast<unsigned>(rank_), where.file_name(), where.line(), last.name_,
           static_cast<unsigned>(last.rank_), last.where_.file_name(), last.where_.line());
}

void SpinLock::refuse_release() const {
  panic_at(here(), "spin lock '{}' is released, but it is not the last one that CPU {} took", name_, cpu_index());
}

void SpinLock::Times::begin(bool waited) {
  acquisitions.store(acquisitions.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  contended.store(contended.load(std::memory_order_relaxed) + (waited ? 1 : 0), std::memory_order_relaxed);
  since_tick = tick_count();
}

void SpinLock::Times::end() {
  const std::uint64_t held = tick_count() - since_tick;
  total_ticks.store(total_ticks.load(std::memory_order_relaxed) + held, std::memory_order_relaxed);
  if (held > max_ticks.load(std::memory_order_relaxed)) {
    max_ticks.store(held, std::memory_order_relaxed);
  }
}

LockStatistics SpinLock::Times::read() const {
  return {.acquisitions = acquisitions.load(std::memory_order_relaxed),
          .contended = contended.load(std::memory_order_relaxed),
          .total_held_ticks = total_ticks.load(std::memory_order_relaxed),
          .max_held_ticks = max_ticks.load(std::memory_order_relaxed)};
}

}  // namespace guest::kernel
