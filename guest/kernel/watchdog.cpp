#include "guest/kernel/watchdog.hpp"

#include "guest/kernel/panic.hpp"

namespace guest::kernel {
namespace {

constexpr std::uint32_t bit(std::uint32_t cpu) { return std::uint32_t{1} << cpu; }

/// The one after `cpu` in `members`, which has others than `cpu`; after the last comes the first.
constexpr std::uint32_t next_of(std::uint32_t cpu, std::uint32_t members) {
  do {
    cpu = (cpu + 1) % kMaxCpus;
  } while ((members & bit(cpu)) == 0);
  return cpu;
}

}  // namespace

void Watchdog::join(TimerQueue& timers) {
  const std::uint32_t members = members_.load(std::memory_order_acquire);  // pairs with the release in start()
  require((members & bit(cpu_index())) != 0, "a CPU joins a watchdog that does not expect it");
  if (members != bit(cpu_index())) {
    here().timers = &timers;
    arm(timers.clock().now_ns());
  }
}

void Watchdog::arm(std::uint64_t now_ns) {
  PerCpu& self = here();
  self.next_ns = now_ns + kPeriodNs;
  self.timers->arm(timers_[cpu_index()], self.next_ns);
}

void Watchdog::on_timer(void* self) {
  auto& watchdog = *static_cast<Watchdog*>(self);
  watchdog.beat(watchdog.here().timers->clock().now_ns());
}

void Watchdog::beat(std::uint64_t now_ns) {
  PerCpu& self = here();
  self.beats.store(self.beats.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  self.last_ns.store(now_ns, std::memory_order_relaxed);
  self.phase = Phase::Beaten;
  arm(now_ns);
  look_after_next(now_ns);
}

void Watchdog::look_after_next(std::uint64_t now_ns) {
  PerCpu& self = here();
  const std::uint32_t next = next_of(cpu_index(), members_.load(std::memory_order_relaxed));
  const std::uint64_t beats = cpus_[next].beats.load(std::memory_order_relaxed);
  if (beats != self.seen) {
    self.seen = beats;
    self.missed = 0;
  } else if (++self.missed >= kMaxMissed) {
    actions_.silent(next, now_ns - cpus_[next].last_ns.load(std::memory_order_relaxed));
  }
}

bool Watchdog::end_sleep() {
  PerCpu& self = here();
  const std::uint64_t now_ns = self.timers->clock().now_ns();
  if (timers_[cpu_index()].armed() && now_ns >= self.next_ns) {
    // Moves the timer, so that its interrupt does not pend any more.
    beat(now_ns);
    become_quiet();
    return true;
  }
  become_active(now_ns);
  return false;
}

void Watchdog::become_quiet() {
  PerCpu& self = here();
  self.phase = Phase::Quiet;
  const std::uint32_t mine = bit(cpu_index());
  if ((quiet_.fetch_or(mine, std::memory_order_acq_rel) | mine) == members_.load(std::memory_order_relaxed)) {
    self.timers->cancel(timers_[cpu_index()]);
  }
  // In either case: the interrupt that has not been taken is not to come.
  self.timers->program();
}

void Watchdog::become_active(std::uint64_t now_ns) {
  PerCpu& self = here();
  const bool was_quiet = self.phase == Phase::Quiet;
  self.phase = Phase::Active;
  if (!was_quiet) {
    return;
  }
  if (!timers_[cpu_index()].armed()) {
    self.last_ns.store(now_ns, std::memory_order_relaxed);  // its rest is not to count as silence
    arm(now_ns);
  }
  const std::uint32_t members = members_.load(std::memory_order_relaxed);
  const std::uint32_t mine = bit(cpu_index());
  if (quiet_.fetch_and(~mine, std::memory_order_acq_rel) != members) {
    return;  // nobody rests
  }
  for (std::uint32_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    if ((members & ~mine & bit(cpu)) != 0) {
      actions_.rouse(cpu);
    }
  }
}

Heartbeat Watchdog::heartbeat(std::uint32_t cpu) const {
  return {.beats = cpus_[cpu].beats.load(std::memory_order_relaxed),
          .last_ns = cpus_[cpu].last_ns.load(std::memory_order_relaxed)};
}

}  // namespace guest::kernel
