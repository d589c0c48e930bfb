// The performance monitors, PMUv3. Arm DDI 0487, "The Performance Monitors Extension".
//
// Every CPU counts from the moment it comes online, at every exception level that the kernel and its tasks run at, and
// never stops: who wants a difference reads twice. Counters raise no interrupts and cannot be read by user tasks.
#pragma once

#include "guest/kernel/pmu.hpp"

namespace guest::arch {

/// Starts this CPU's counters from zero; nothing where it has none. Once on each CPU; interrupts masked.
void start_pmu_here();

/// What this CPU has counted. On a CPU that has called start_pmu_here(); from any context.
kernel::PmuReading read_pmu_here();

}  // namespace guest::arch
