// Interrupt controller and timers.
#pragma once

#include "guest/kernel/machine_info.hpp"

namespace guest {

/// Sets up the GIC and this CPU's timer queue; interrupts stay masked. Refuses the boot where the machine has none
/// that can be driven.
void start_interrupts(const kernel::MachineInfo& info);

/// The timers of a CPU other than the boot CPU, on that CPU. When the boot CPU has started interrupts.
void start_timers_here();

}  // namespace guest
