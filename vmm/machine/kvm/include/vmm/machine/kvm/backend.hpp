// Machines run by KVM, driven by this process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vmm/machine/backend.hpp"
#include "vmm/machine/board/kernel_image.hpp"

namespace vmm::machine_kvm {

/// What only this back end can do.
struct KvmOptions {
  board::KernelFormat kernel_format = board::KernelFormat::Auto;
  std::string boot_arguments = {};  ///< the kernel's command line
};

/// A machine that is not started yet. Its virtual CPUs and its devices run on threads of their own. Without a
/// boot_archive it has no initrd, without a vsock_socket no vsock device.
std::unique_ptr<machine::Backend> make_backend(machine::MachineConfig config, KvmOptions options = {});

/// What is missing to run machines on this host, one sentence each with what to do about it. Empty: nothing.
std::vector<std::string> missing_on_host();

}  // namespace vmm::machine_kvm
