// Everywhere but on ARM64 Linux.
#include <cstdlib>

#include "native_kvm.hpp"

namespace vmm::cli {
namespace {

constexpr char kWhy[] = "the native KVM back end runs on ARM64 Linux hosts; this build of sisvmm is for another kind";

}  // namespace

std::vector<std::string> missing_for_native_kvm() { return {kWhy}; }

Result<sandbox::Sandbox> make_sandbox(bool) { return {}; }

// The KVM build takes the configuration over.
// NOLINTBEGIN(performance-unnecessary-value-param)
std::unique_ptr<machine::Backend> make_native_kvm(machine::MachineConfig) {
  std::abort();  // the caller has not asked what is missing
}

Result<std::unique_ptr<machine::Backend>> make_native_kvm_restored(machine::MachineConfig,
                                                                   const std::filesystem::path&) {
  return fail(kWhy, abi::ExitCode::HostLacks);
}
// NOLINTEND(performance-unnecessary-value-param)

Error become_native_kvm(const std::vector<std::string>&) {
  return {.message = kWhy, .exit_code = abi::ExitCode::HostLacks};
}

}  // namespace vmm::cli
