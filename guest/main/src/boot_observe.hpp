// What the scenario has recorded of the machine: its trace, and the history of its metrics.
#pragma once

#include "guest/control/services.hpp"
#include "guest/kernel/boot_config.hpp"

namespace guest {

/// The trace, if it is wanted, of `cpus` CPUs from now on. No memory for it ends the boot.
void start_trace(const kernel::ObserveConfig& config, std::uint32_t cpus);
/// The history, if it is wanted. As start_trace().
void start_history(const kernel::ObserveConfig& config, control::Services& services);
/// What was recorded is all there will be.
void freeze_observation(const kernel::ObserveConfig& config);

}  // namespace guest
