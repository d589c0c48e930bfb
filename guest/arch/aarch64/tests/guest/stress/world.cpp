#include "world.hpp"

#include "abi/console.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/kernel/log.hpp"

namespace guest::stress {

constinit Options options;
constinit Figures figures;
constinit std::atomic<bool> running{true};
constinit std::atomic<std::uint64_t> repayment_ns{0};
constinit Slot slots[kThreads] = {};
constinit std::atomic<std::uint32_t> children{0};

std::uint64_t now_ns() { return arch::clock_now_ns(); }

void fail_with(std::string_view what) {
  kernel::log_error("STRESS FAILED seed={}, at {} ms, after {} actions, in thread {}: {}", options.seed,
                    now_ns() / 1'000'000, figures.actions.load(), threads::current_thread().name(), what);
  arch::exit_machine(abi::console::kKindShutdown, 1);
}

void Slot::begin(std::string_view of, std::uint32_t number) {
  // Relaxed: they are looked at when they have not changed for long.
  what.store(of.data(), std::memory_order_relaxed);
  which.store(number, std::memory_order_relaxed);
  since_ns.store(now_ns(), std::memory_order_relaxed);
}

bool sleep(std::uint64_t duration_ns) {
  const std::uint64_t wake_ns = now_ns() + duration_ns;
  const bool slept = threads::sleep_until(wake_ns);
  const std::uint64_t woken_ns = now_ns();
  if (slept && woken_ns < wake_ns) {
    fail("a sleep ended {} ns too early", wake_ns - woken_ns);
  }
  if (!slept && !threads::current_thread().stop_requested()) {
    fail("a sleep ended though nobody asked for it");
  }
  if (woken_ns > wake_ns + limit_ns()) {
    fail("LOST WAKE-UP: a sleep ended {} ms too late", (woken_ns - wake_ns) / 1'000'000);
  }
  if (slept) {
    count(figures.sleeps);
  }
  return slept;
}

void check_wait(std::string_view what, std::uint32_t which, std::uint64_t begun_ns) {
  if (const std::uint64_t took_ns = now_ns() - begun_ns; took_ns >= limit_ns()) {
    fail("LOST WAKE-UP: waited {} ms for {} {}", took_ns / 1'000'000, what, which);
  }
}

void check_woken(std::string_view what, std::uint32_t which, std::uint64_t came_ns) {
  if (const std::uint64_t late_ns = now_ns() - came_ns; late_ns >= limit_ns()) {
    fail("LOST WAKE-UP: noticed {} {} after {} ms", what, which, late_ns / 1'000'000);
  }
}

}  // namespace guest::stress
