// The native KVM back end, as far as this build has it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "vmm/machine/backend.hpp"
#include "vmm/sandbox/sandbox.hpp"

namespace vmm::cli {

/// What is missing to run machines by it on this host, one sentence each. Empty: nothing.
std::vector<std::string> missing_for_native_kvm();

/// What confines the process that supervises a machine; nothing if it is not `wanted`. To be called before the first
/// thread is made. Errors: as sandbox::Sandbox::create().
Result<sandbox::Sandbox> make_sandbox(bool wanted);

/// Not to be called when something is missing.
std::unique_ptr<machine::Backend> make_native_kvm(machine::MachineConfig config);

/// For a saved machine. May be called without asking what is missing. HostLacks: this build has no KVM back end, or its
/// program is not there.
Result<std::unique_ptr<machine::Backend>> make_native_kvm_restored(machine::MachineConfig config,
                                                                   const std::filesystem::path& folder);

/// Replaces this program by the one that runs a machine. Returns why it cannot.
Error become_native_kvm(const std::vector<std::string>& arguments);

}  // namespace vmm::cli
