// The machine's virtio devices and their drivers.
#pragma once

#include <cstdint>

#include "abi/virtio.hpp"
#include "guest/drivers/vsock_device.hpp"
#include "guest/kernel/boot_config.hpp"
#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/machine_info.hpp"

namespace guest {

/// A virtio-mmio slot with a device that this kernel can drive.
struct VirtioFound {
  abi::virtio::DeviceId device{};
  std::uintptr_t registers = 0;  ///< mapped
  kernel::DeviceInterrupt interrupt;
};
using VirtioDevices = kernel::BoundedArray<VirtioFound, kernel::MachineInfo::kMaxVirtioSlots>;

/// Looks into every slot, once. Legacy devices (version 1) are reported and left out. After memory and interrupts.
const VirtioDevices& find_virtio(const kernel::MachineInfo& info);

/// Makes the driver of the first vsock device; null: there is none. Once.
drivers::VsockDevice* make_vsock(const VirtioDevices& devices);

/// Goes live: from now on the host's connections reach the listeners, which are registered before (test services are
/// registered here when the configuration asks for them). A device that cannot be started is reported; false.
bool start_vsock(drivers::VsockDevice& vsock, const kernel::BootConfig& config);

}  // namespace guest
