// The servers and tasks of the scenario.
#pragma once

#include "guest/kernel/boot_config.hpp"

namespace guest {

/// Promises the servers their budgets and starts the tasks, or refuses the boot with the arithmetic; with manual_start
/// declares them only. When every CPU has threads.
void start_tasks(const kernel::BootConfig& config);

}  // namespace guest
