// The native KVM back end, as far as this build has it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vmm/machine/backend.hpp"
#include "vmm/machine/board/kernel_image.hpp"
#include "vmm/machine/snapshot/state.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::cli {

/// What is missing to run machines by it on this host, one sentence each. Empty: nothing.
std::vector<std::string> missing_for_native_kvm();

/// What confines the process that runs a machine; nothing if it is not `wanted`. To be called before the first thread
/// is made. Errors: as sandbox::Sandbox::create().
Result<sandbox::Sandbox> make_sandbox(bool wanted);

/// Not to be called when something is missing.
std::unique_ptr<machine::Backend> make_native_kvm(machine::MachineConfig config);

/// For kernels that are not the SIS guest's. May be called without asking what is missing, which takes as long as a
/// small guest: then starting the machine tells. HostLacks: this build has no KVM back end.
Result<std::unique_ptr<machine::Backend>> make_native_kvm_with(machine::MachineConfig config,
                                                               board::KernelFormat format,
                                                               const std::string& boot_arguments);

/// For a saved machine. May be called without asking what is missing. HostLacks: this build has no KVM back end.
Result<std::unique_ptr<machine::Backend>> make_native_kvm_restored(machine::MachineConfig config,
                                                                   snapshot::MachineState state,
                                                                   const std::filesystem::path& folder);

}  // namespace vmm::cli
