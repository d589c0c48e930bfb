// Test images that a monitor runs: the boot CPU serves the control port as ever, so that the monitor finds a guest.
#pragma once

#include "abi/control.hpp"
#include "boot_config_step.hpp"
#include "boot_control.hpp"
#include "boot_operators.hpp"
#include "boot_virtio.hpp"
#include "start_all_cpus.hpp"

namespace guest {

/// Starts all CPUs and the control server; `start_devices` in between, with the machine's virtio devices. Panics if
/// anything is not there.
inline void start_monitored(kernel::MachineInfo& machine, void (*start_devices)(const VirtioDevices& devices)) {
  start_all_cpus(machine);
  const kernel::BootConfig& config = read_configuration(machine);
  const VirtioDevices& devices = find_virtio(machine);
  start_devices(devices);
  start_operators();
  drivers::VsockDevice* const vsock = make_vsock(devices);
  kernel::require(vsock != nullptr, "there is no vsock device");
  control::Server& server = start_control_server(start_services(machine, config));
  kernel::require(vsock->streams().listen(abi::control::kPort, server), "the control server's port is taken");
  drain_before_power_off(vsock->streams());
  kernel::require(start_vsock(*vsock, config), "the vsock device cannot be started");
}

}  // namespace guest
