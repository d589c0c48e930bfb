// The command line of QEMU for a machine.
#pragma once

#include <string>
#include <vector>

#include "vmm/machine/backend.hpp"

namespace vmm::qemu {

/// Numbers of the inherited sockets, as QEMU has them.
struct InheritedSockets {
  int console;  ///< the guest's first UART
  int qmp;
  int vsock;  ///< vhost-user
  int npu;    ///< vhost-user; meant only if the machine has one
};

/// Name of the program: $SIS_QEMU, or "qemu-system-aarch64".
std::string program_name();

/// The accelerator that `wanted` means on this host: Auto is KVM on an ARM64 Linux host whose /dev/kvm can be opened,
/// HVF on an Apple computer with an ARM64 processor, else TCG. "kvm", "hvf" or "tcg".
std::string accelerator(scenario::Accel wanted);

/// Name of the object that gives guest memory which our devices can map as well.
const char* shared_memory_object();

/// All arguments, the program first. `accel` as accelerator() gives it.
std::vector<std::string> command_line(const machine::MachineConfig& config, const std::string& accel,
                                      const InheritedSockets& sockets);

/// What QEMU's environment has beside ours: its heap in huge pages, grown in large steps. That halves the page faults
/// of its start and takes some 10 of 80 ms from a boot. glibc's (The GNU C Library, "Memory Allocation Tunables";
/// others ignore it); what the user has set instead stays.
std::vector<std::string> environment();

}  // namespace vmm::qemu
