// Machines run by KVM, driven by this process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vmm/machine/backend.hpp"

namespace vmm::machine_kvm {

/// A machine that is not started yet. Its virtual CPUs and its devices run on threads of their own.
std::unique_ptr<machine::Backend> make_backend(machine::MachineConfig config);

/// What is missing to run machines on this host, one sentence each with what to do about it. Empty: nothing.
std::vector<std::string> missing_on_host();

}  // namespace vmm::machine_kvm
