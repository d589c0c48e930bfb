#include "boot_watchdog.hpp"

#include "guest/arch/cpu.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/threads/dispatcher.hpp"

namespace guest {
namespace {

/// Not what code the CPU runs: no interrupt that it would take tells, and there is none that it cannot mask.
void describe(kernel::TextOutput& output, std::uint32_t cpu) {
  if (const threads::Dispatcher* const there = threads::find_dispatcher(cpu)) {
    const threads::Thread& thread = there->current();
    kernel::format_to(output, ": thread {} ({}){}", thread.id(), kernel::escaped(thread.name()),
                      there->in_interrupt() ? ", in an interrupt" : "");
  }
  kernel::describe_locks(output, cpu);
}

void panic_about(std::uint32_t cpu, std::uint64_t silent_ns) {
  constexpr std::uint64_t kNsPerMs = 1'000'000;
  kernel::FixedText<256> state;
  describe(state, cpu);
  kernel::panic_at(kernel::here(), "watchdog: CPU {} has taken no interrupts for {} ms{}", cpu, silent_ns / kNsPerMs,
                   state.view());
}

constinit kernel::Watchdog the_watchdog{
    {.rouse = [](std::uint32_t cpu) { arch::send_ipi(cpu, arch::Ipi::Wake); }, .silent = panic_about}};

}  // namespace

kernel::Watchdog& watchdog() { return the_watchdog; }

void start_watchdog() {
  const std::uint32_t online = arch::online_cpus();
  the_watchdog.start(online);
  the_watchdog.join(kernel::timers());
  for (std::uint32_t cpu = 0; cpu < kernel::kMaxCpus; ++cpu) {
    if (cpu != arch::cpu_index() && (online >> cpu & 1) != 0) {
      const bool called = arch::smp::call(cpu, [](void*) { the_watchdog.join(kernel::timers()); }, nullptr);
      kernel::require(called, "a CPU that is online takes no calls");
    }
  }
}

}  // namespace guest
