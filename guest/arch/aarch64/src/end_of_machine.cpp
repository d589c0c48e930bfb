#include "end_of_machine.hpp"

#include <atomic>

#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/log.hpp"

namespace guest::arch {
namespace {

constexpr std::uint32_t kNobody = ~std::uint32_t{0};
constinit std::atomic<std::uint32_t> owner{kNobody};

/// Long enough for a CPU that writes a line to a slow console with its interrupts masked (100 characters at 115 200
/// baud take 9 ms), and that the host does not run for a while.
constexpr std::uint64_t kStopLimitNs = 1'000'000'000;

[[noreturn]] void wait_for_ever() {
  // Release: what this CPU wrote is visible to whoever finds it stopped.
  this_cpu().state.store(CpuState::Stopped, std::memory_order_release);
  // Not off through PSCI: in a debugger the CPU's registers are still there.
  asm volatile("msr daifset, #0xf" : : : "memory");
  for (;;) {
    wfi();
  }
}

}  // namespace

void claim_end_of_machine() {
  std::uint32_t expected = kNobody;
  // Relaxed: only who is first matters, no data changes hands.
  if (!owner.compare_exchange_strong(expected, cpu_index(), std::memory_order_relaxed) && expected != cpu_index()) {
    wait_for_ever();
  }
}

void stop_other_cpus() {
  const std::uint32_t others = online_cpus() & ~(std::uint32_t{1} << cpu_index());
  kernel::log().leave_to_this_cpu();
  if (others == 0) {
    return;
  }
  for (std::uint32_t cpu = 0; cpu < cpu_count(); ++cpu) {
    if ((others >> cpu & 1) != 0) {
      send_ipi(cpu, Ipi::Stop);
    }
  }
  const std::uint64_t give_up_ns = clock_now_ns() + kStopLimitNs;
  while ((online_cpus() & others) != 0 && clock_now_ns() < give_up_ns) {
    kernel::spin_pause();
  }
}

/// The handler of Ipi::Stop.
void stop_this_cpu() { wait_for_ever(); }

}  // namespace guest::arch
