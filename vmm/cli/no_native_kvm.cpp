// Everywhere but on ARM64 Linux.
#include <cstdlib>

#include "native_kvm.hpp"

namespace vmm::cli {

std::vector<std::string> missing_for_native_kvm() {
  return {"the native KVM back end runs on ARM64 Linux hosts; this build of sisvmm is for another kind"};
}

// The KVM build takes the configuration over.
// NOLINTBEGIN(performance-unnecessary-value-param)
std::unique_ptr<machine::Backend> make_native_kvm(machine::MachineConfig) {
  std::abort();  // the caller has not asked what is missing
}

std::unique_ptr<machine::Backend> make_native_kvm_with(machine::MachineConfig, board::KernelFormat,
                                                       const std::string&) {
  std::abort();  // as above
}
// NOLINTEND(performance-unnecessary-value-param)

}  // namespace vmm::cli
