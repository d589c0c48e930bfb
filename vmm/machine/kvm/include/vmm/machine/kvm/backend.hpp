// Machines run by KVM, driven by this process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vmm/machine/backend.hpp"
#include "vmm/machine/board/kernel_image.hpp"
#include "vmm/machine/snapshot/state.hpp"

namespace vmm::machine_kvm {

/// What only this back end can do.
struct KvmOptions {
  board::KernelFormat kernel_format = board::KernelFormat::Auto;
  std::string boot_arguments = {};  ///< the kernel's command line
  /// A machine to go on with, instead of booting one; its memory and files lie in `folder`.
  struct Restored {
    snapshot::MachineState state;
    std::filesystem::path folder;
  };
  std::shared_ptr<const Restored> restored = nullptr;
};

/// A machine that is not started yet. Its virtual CPUs and its devices run on threads of their own. Without a
/// boot_archive it has no initrd, without a vsock_socket no vsock device.
std::unique_ptr<machine::Backend> make_backend(machine::MachineConfig config, KvmOptions options = {});

/// The machine that lies in a snapshot's folder, which must stay as it is for as long as the machine runs. `config`
/// says where its socket and its log are; everything else comes from the snapshot.
std::unique_ptr<machine::Backend> restore_backend(machine::MachineConfig config, snapshot::MachineState state,
                                                  const std::filesystem::path& folder);

/// What is missing to run machines on this host, one sentence each with what to do about it. Empty: nothing.
std::vector<std::string> missing_on_host();

}  // namespace vmm::machine_kvm
