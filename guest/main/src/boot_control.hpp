// The control server and what its commands need of the kernel.
#pragma once

#include "guest/control/server.hpp"
#include "guest/control/services.hpp"
#include "guest/kernel/boot_config.hpp"
#include "guest/kernel/machine_info.hpp"

namespace guest {

/// Puts together what commands work with. Once; memory, clock and interrupts are up.
/// `llm`: null where there is no service.
control::Services& start_services(const kernel::MachineInfo& info, const kernel::BootConfig& config,
                                  const llm::package::Trust& trust, security::AuditLog& audit, control::Llm* llm);

/// The server. Without a key in the boot configuration it refuses everybody.
control::Server& start_control_server(control::Services& services);

/// Lets the host take what was written to it before a power-off or reset; for half a second at most.
void drain_before_power_off(kernel::StreamTransport& transport);

}  // namespace guest
