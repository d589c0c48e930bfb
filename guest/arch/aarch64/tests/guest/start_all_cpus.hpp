// How test images start that have threads on every CPU.
#pragma once

#include "boot_console.hpp"
#include "boot_interrupts.hpp"
#include "boot_memory.hpp"
#include "boot_threads.hpp"
#include "guest/arch/clock.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/psci.hpp"
#include "guest/arch/secondary.hpp"
#include "guest/arch/smp.hpp"
#include "guest/kernel/machine_info.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/threads.hpp"

namespace guest {

/// Reads the device tree into `machine` and starts console, memory, interrupts, and threads on each CPU; the boot CPU
/// has the work queue. The caller's thread is the boot CPU's idle one, interrupts masked. Panics if anything is not
/// there.
inline void start_all_cpus(kernel::MachineInfo& machine) {
  kernel::require(arch::init_clock(0), "the clock does not run");
  kernel::require(kernel::read_machine_info(arch::dtb(), machine).has_value(), "the device tree is not readable");
  arch::set_psci_conduit(machine.psci == kernel::PsciMethod::Smc ? arch::PsciConduit::Smc : arch::PsciConduit::Hvc);
  kernel::require(start_console(machine.console) != nullptr, "no console");
  start_memory(machine);
  start_interrupts(machine);
  arch::start_ipis();
  start_threads_here(sched::kDefaultBound);
  start_work_thread();
  arch::start_secondary_cpus(machine, [] {
    start_timers_here();
    start_threads_here(sched::kDefaultBound);
    idle();
  });
  // They begin with threads after they are online.
  for (std::uint32_t cpu = 0; cpu < arch::cpu_count(); ++cpu) {
    while (threads::find_dispatcher(cpu) == nullptr) {
      kernel::spin_pause();
    }
  }
}

}  // namespace guest
