#include "guest/kernel/spin_lock.hpp"

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/watchdog.hpp"

namespace guest::kernel {
namespace {

/// What a CPU waits for. Only that CPU touches it, with interrupts masked, so it is not atomic; reports about a CPU
/// that hangs read it nevertheless.
struct alignas(kCacheLineBytes) Awaited {
  const SpinLock* lock = nullptr;  ///< null: nothing
  std::source_location where{};
};
constinit Awaited awaited_locks[kMaxCpus];

}  // namespace

void SpinLock::wait_for(std::uint32_t ticket, std::source_location where) {
  Awaited& awaited = awaited_locks[cpu_index()];
  awaited = {.lock = this, .where = where};
  SeenPeriods seconds(tick_frequency_hz(), tick_count());
  while (serving_.load(std::memory_order_acquire) != ticket) {
    // Without a frequency the clock was not set up: one CPU runs, and it waits for nobody.
    if (tick_frequency_hz() != 0 && seconds.at(tick_count()) >= kMaxWaitSeconds) [[unlikely]] {
      refuse_to_wait(where);
    }
    spin_pause();
  }
  awaited.lock = nullptr;
  CpuData& cpu = cpu_data();
  outer_ = cpu.innermost_lock;
  where_ = where;
  cpu.innermost_lock = this;
  times_.begin(true, name_);
}

bool SpinLock::held_here() const { return held_by(cpu_index()); }

bool SpinLock::held_by(std::uint32_t cpu) const {
  for (const SpinLock* lock = cpu_data(cpu).innermost_lock; lock != nullptr; lock = lock->outer_) {
    if (lock == this) {
      return true;
    }
  }
  return false;
}

void SpinLock::describe_holder(TextOutput& output) const {
  for (std::uint32_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (held_by(cpu)) {
      format_to(output, "which CPU {} holds since {}:{}", cpu, where_.file_name(), where_.line());
      return;
    }
  }
  output.write("which no CPU holds now");
}

void describe_locks(TextOutput& output, std::uint32_t cpu) {
  for (const SpinLock* lock = cpu_data(cpu).innermost_lock; lock != nullptr; lock = lock->outer_) {
    format_to(output, "; holds spin lock '{}' since {}:{}", lock->name_, lock->where_.file_name(), lock->where_.line());
  }
  if (const Awaited& awaited = awaited_locks[cpu]; awaited.lock != nullptr) {
    format_to(output, "; waits at {}:{} for spin lock '{}', ", awaited.where.file_name(), awaited.where.line(),
              awaited.lock->name_);
    awaited.lock->describe_holder(output);
  }
}

void SpinLock::refuse_to_wait(std::source_location where) const {
  FixedText<160> holder;
  describe_holder(holder);
  panic_at(where, "watchdog: CPU {} waits for {} s for spin lock '{}', {}", cpu_index(), kMaxWaitSeconds, name_,
           holder.view());
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

void SpinLock::Times::begin(bool waited, std::string_view name) {
  if (of_name == nullptr) {
    of_name = &lock_class(name);
  }
  of_name->count(waited);
  acquisitions.store(acquisitions.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  contended.store(contended.load(std::memory_order_relaxed) + (waited ? 1 : 0), std::memory_order_relaxed);
  since_tick = tick_count();
}

void SpinLock::Times::end() {
  const std::uint64_t held = tick_count() - since_tick;
  of_name->add(held);
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
