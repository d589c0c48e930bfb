// Secondary CPUs, from PSCI CPU_ON to their main function.
//
//   boot CPU                                      secondary CPU
//   stacks, SecondaryStart, state = Starting
//   CPU_ON  ------------------------------------> secondary_entry (head.S): MMU on, own stack, TPIDR_EL1
//   waits, for all of them at once                secondary_start(): features, GIC
//             <---------------------------------- state: Starting -> Online
//   given up: state: Starting -> Off              or, when that came first, off again
#include "guest/arch/secondary.hpp"

#include <bit>

#include "guest/arch/clock.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/early_boot.hpp"
#include "guest/arch/gic.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/pmu.hpp"
#include "guest/arch/psci.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"

extern "C" const char secondary_entry[];  // head.S

namespace guest::arch {
namespace {

/// What head.S reads with the caches off.
struct alignas(kernel::kCacheLineBytes) SecondaryStart {
  std::uint64_t ttbr1;
  std::uint64_t ttbr0;
  std::uint64_t cpu_local;
  std::uint64_t stack_top;
};
static_assert(offsetof(SecondaryStart, ttbr1) == SIS_START_TTBR1 && offsetof(SecondaryStart, ttbr0) == SIS_START_TTBR0);
static_assert(offsetof(SecondaryStart, cpu_local) == SIS_START_CPU_LOCAL);
static_assert(offsetof(SecondaryStart, stack_top) == SIS_START_STACK_TOP);

/// A CPU that firmware said it started gets this long to come.
constexpr std::uint64_t kStartLimitNs = 1'000'000'000;

constinit SecondaryStart starts[kernel::kMaxCpus] = {};
constinit std::uint32_t known_cpus = 1;
constinit SecondaryMain secondary_main = nullptr;

/// `reason` is of static storage.
void stays_off(CpuLocal& cpu, std::string_view reason) {
  cpu.why_off = reason;
  cpu.state.store(CpuState::Off, std::memory_order_release);
}

/// Both stacks from one block of pages. They are never given back: a CPU that is given up may still come.
bool map_stacks(const CpuLocal& cpu) {
  constexpr unsigned kOrder = std::countr_zero(2 * kStackSize / kPageBytes);
  const auto block = kernel::kernel_pages().allocate(kOrder);
  return block && map_stack(cpu_stack_slot(cpu.data.index), kernel::raw(*block)) == MapStatus::Ok &&
         map_stack(overflow_stack_slot(cpu.data.index), kernel::raw(*block) + kStackSize) == MapStatus::Ok;
}

/// Asks firmware for the CPU; its state says what became of that.
void start(CpuLocal& cpu, const kernel::CpuNode& node) {
  if (!node.psci) {
    stays_off(cpu, "its \"enable-method\" is not \"psci\"");
    return;
  }
  if (!map_stacks(cpu)) {
    stays_off(cpu, "no memory for its stacks");
    return;
  }
  SecondaryStart& start = starts[cpu.data.index];
  start = {.ttbr1 = early_boot().root_pa,
           .ttbr0 = early_boot().identity_root_pa,
           .cpu_local = reinterpret_cast<std::uint64_t>(&cpu),  // for TPIDR_EL1
           .stack_top = cpu.stack_top};
  clean_to_coherency(&start, sizeof(start));
  std::uint64_t entry_pa = 0;
  std::uint64_t start_pa = 0;
  kernel::require(physical(secondary_entry, entry_pa) && physical(&start, start_pa), "the image has no address");
  // Before the call: the CPU may be there before the call returns.
  cpu.state.store(CpuState::Starting, std::memory_order_release);
  if (const PsciStatus status = cpu_on(cpu.mpidr, entry_pa, start_pa); status != PsciStatus::Success) {
    stays_off(cpu, to_string(status));
  }
}

/// Waits for a CPU that was asked to start.
void await(CpuLocal& cpu, std::uint64_t give_up_ns) {
  // Acquire pairs with the release in secondary_start(): what the CPU set up is visible.
  while (cpu.state.load(std::memory_order_acquire) == CpuState::Starting) {
    if (clock_now_ns() >= give_up_ns) {
      CpuState expected = CpuState::Starting;
      // Whoever exchanges first decides: a CPU that comes later finds that it was given up.
      if (cpu.state.compare_exchange_strong(expected, CpuState::Off, std::memory_order_acq_rel)) {
        cpu.why_off = "started, but it did not come online";
      }
      return;
    }
    kernel::spin_pause();
  }
}

void log_cpus(std::size_t listed) {
  for (std::uint32_t i = 1; i < known_cpus; ++i) {
    const CpuLocal& cpu = cpu_locals[i];
    if (cpu.state.load(std::memory_order_acquire) != CpuState::Online) {
      kernel::log_error("CPU {} (MPIDR {:#x}) stays off: {}", i, cpu.mpidr, cpu.why_off);
    }
  }
  if (listed > known_cpus) {
    kernel::log_error("{} of {} CPUs stay off: the kernel has room for {}", listed - known_cpus, listed,
                      kernel::kMaxCpus);
  }
  kernel::log_info("{} of {} CPUs online", static_cast<unsigned>(std::popcount(online_cpus())), listed);
}

}  // namespace

void start_secondary_cpus(const kernel::MachineInfo& machine, SecondaryMain main) {
  secondary_main = main;
  for (const kernel::CpuNode& node : machine.cpus) {
    const std::uint64_t mpidr = node.affinity & mpidr_el1::kAffinityMask;
    if (mpidr == this_cpu().mpidr || known_cpus == kernel::kMaxCpus) {
      continue;
    }
    CpuLocal& cpu = cpu_locals[known_cpus++];
    cpu.mpidr = mpidr;
    start(cpu, node);
  }
  const std::uint64_t give_up_ns = clock_now_ns() + kStartLimitNs;
  for (std::uint32_t i = 1; i < known_cpus; ++i) {
    await(cpu_locals[i], give_up_ns);
  }
  log_cpus(machine.cpus.size());
}

/// From head.S, on the CPU's own stack.
extern "C" [[noreturn]] void secondary_start() {
  CpuLocal& self = this_cpu();
  enable_cpu_features();
  start_pmu_here();
  sysreg::CntvCtlEl0::write(0);  // unknown after reset; nobody has asked for a deadline
  if (const GicStatus status = start_gic_on_this_cpu(); status != GicStatus::Ok) {
    stays_off(self, to_string(status));
    cpu_off();
  }
  kernel::interrupts().enable_software_here();
  CpuState expected = CpuState::Starting;
  // Release: what this CPU has set up (its part of the GIC) is visible to whoever sends it an interrupt.
  if (!self.state.compare_exchange_strong(expected, CpuState::Online, std::memory_order_acq_rel)) {
    cpu_off();
  }
  unmask_irq();
  secondary_main();
  kernel::panic("a CPU's main function returned");
}

std::uint32_t cpu_count() { return known_cpus; }

std::uint32_t online_cpus() {
  std::uint32_t mask = 0;
  for (std::uint32_t i = 0; i < known_cpus; ++i) {
    // Acquire: as in await().
    if (cpu_locals[i].state.load(std::memory_order_acquire) == CpuState::Online) {
      mask |= std::uint32_t{1} << i;
    }
  }
  return mask;
}

}  // namespace guest::arch
