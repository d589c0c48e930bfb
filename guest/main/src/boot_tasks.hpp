// The servers and tasks of the scenario.
#pragma once

#include "guest/kernel/boot_config.hpp"

namespace guest {

/// Declares them, or refuses the boot. When every CPU has threads; before anybody else can ask for servers and tasks.
void declare_tasks(const kernel::BootConfig& config);

/// Promises the servers their budgets and starts the tasks, or refuses the boot with the arithmetic; with manual_start
/// does nothing.
void start_tasks(const kernel::BootConfig& config);

}  // namespace guest
