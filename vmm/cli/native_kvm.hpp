// The native KVM back end, as far as this build has it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vmm/machine/backend.hpp"

namespace vmm::cli {

/// What is missing to run machines by it on this host, one sentence each. Empty: nothing.
std::vector<std::string> missing_for_native_kvm();

/// Not to be called when something is missing.
std::unique_ptr<machine::Backend> make_native_kvm(machine::MachineConfig config);

}  // namespace vmm::cli
