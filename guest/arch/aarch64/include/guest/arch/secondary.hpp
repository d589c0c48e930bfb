// The CPUs other than the boot CPU.
#pragma once

#include <cstdint>

#include "guest/kernel/machine_info.hpp"

namespace guest::arch {

/// What a CPU runs once it is online, with interrupts on, on its own stack.
using SecondaryMain = void (*)();

/// Starts every CPU of the tree but this one, up to kernel::kMaxCpus in all, and waits until each is online or is given
/// up. A CPU that stays off is named in the log with its reason. Once, by the boot CPU, when memory, interrupts and the
/// clock are up; software-generated interrupts that were attached before are enabled on each.
void start_secondary_cpus(const kernel::MachineInfo& machine, SecondaryMain main);

/// CPUs that the tree lists, as far as the kernel has room for them: numbers from 0. At least 1.
std::uint32_t cpu_count();
/// A bit for each CPU that takes interrupts.
std::uint32_t online_cpus();

}  // namespace guest::arch
