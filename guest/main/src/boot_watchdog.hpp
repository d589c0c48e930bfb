// The CPUs look after each other.
#pragma once

#include "guest/kernel/watchdog.hpp"

namespace guest {

kernel::Watchdog& watchdog();

/// All CPUs that are online have a heartbeat from now on; a machine with one has none. Once, by the boot CPU, when all
/// have threads; interrupts masked.
void start_watchdog();

}  // namespace guest
