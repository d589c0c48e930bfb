// On ARM64 Linux.
#include "native_kvm.hpp"

#include "vmm/machine/kvm/backend.hpp"

namespace vmm::cli {

std::vector<std::string> missing_for_native_kvm() { return machine_kvm::missing_on_host(); }

std::unique_ptr<machine::Backend> make_native_kvm(machine::MachineConfig config) {
  return machine_kvm::make_backend(std::move(config));
}

}  // namespace vmm::cli
