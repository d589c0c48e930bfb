// Interrupt controller and timers.
#pragma once

#include "guest/kernel/machine_info.hpp"

namespace guest {

/// Sets up the GIC and this CPU's timer queue; interrupts stay masked. Refuses the boot where the machine has none
/// that can be driven.
void start_interrupts(const kernel::MachineInfo& info);

}  // namespace guest
