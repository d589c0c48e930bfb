// The machine's virtio devices and their drivers.
#pragma once

#include "guest/drivers/vsock_device.hpp"
#include "guest/kernel/boot_config.hpp"
#include "guest/kernel/machine_info.hpp"

namespace guest {

/// Looks into every virtio-mmio slot and makes the driver of the first vsock device; null: there is none. Legacy
/// devices (version 1) are reported and left alone. Once, after memory and interrupts.
drivers::VsockDevice* find_vsock(const kernel::MachineInfo& info);

/// Goes live: from now on the host's connections reach the listeners, which are registered before (test services are
/// registered here when the configuration asks for them). A device that cannot be started is reported; false.
bool start_vsock(drivers::VsockDevice& vsock, const kernel::BootConfig& config);

}  // namespace guest
