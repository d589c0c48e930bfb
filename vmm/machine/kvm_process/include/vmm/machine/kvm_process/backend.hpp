// Machines run by KVM, each by a process of its own: `sisvmm-kvm`, which faces the guest and may do little else
// (docs/sandbox.md). What passes between the two: vmm/machine/kvm_protocol.
#pragma once

#include <filesystem>
#include <memory>

#include "vmm/machine/backend.hpp"

namespace vmm::kvm_process {

/// A machine that is not started yet.
/// @param program  sisvmm-kvm
/// @param snapshot the folder of a machine to go on with, which then says all of `config` but socket, log and sandbox;
///                 empty: none
std::unique_ptr<machine::Backend> make_backend(machine::MachineConfig config, std::filesystem::path program,
                                               std::filesystem::path snapshot = {});

}  // namespace vmm::kvm_process
