// On ARM64 Linux.
#include "native_kvm.hpp"

#include "terminal.hpp"
#include "vmm/machine/kvm/backend.hpp"

namespace vmm::cli {

std::vector<std::string> missing_for_native_kvm() { return machine_kvm::missing_on_host(); }

Result<sandbox::Sandbox> make_sandbox(bool wanted) {
  if (!wanted) return sandbox::Sandbox();
  return sandbox::Sandbox::create(restore_terminal);
}

std::unique_ptr<machine::Backend> make_native_kvm(machine::MachineConfig config) {
  return machine_kvm::make_backend(std::move(config));
}

Result<std::unique_ptr<machine::Backend>> make_native_kvm_with(machine::MachineConfig config,
                                                               board::KernelFormat format,
                                                               const std::string& boot_arguments) {
  return machine_kvm::make_backend(std::move(config), {.kernel_format = format, .boot_arguments = boot_arguments});
}

Result<std::unique_ptr<machine::Backend>> make_native_kvm_restored(machine::MachineConfig config,
                                                                   snapshot::MachineState state,
                                                                   const std::filesystem::path& folder) {
  return machine_kvm::restore_backend(std::move(config), std::move(state), folder);
}

}  // namespace vmm::cli
