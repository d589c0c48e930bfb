// On ARM64 Linux.
#include "native_kvm.hpp"

#include <unistd.h>

#include "commands.hpp"
#include "vmm/hypervisor/kvm/kvm.hpp"
#include "vmm/machine/kvm_process/backend.hpp"
#include "vmm/terminal/terminal.hpp"

namespace vmm::cli {
namespace {

namespace fs = std::filesystem;

/// The program that runs machines lies beside this one.
fs::path machine_program() { return executable_path().parent_path() / "sisvmm-kvm"; }

/// Why it cannot be started; empty if it can.
std::string program_missing() {
  const fs::path program = machine_program();
  if (::access(program.c_str(), X_OK) == 0) return {};
  return "there is no program " + program.string() + ", which runs the machines: put it beside sisvmm";
}

}  // namespace

std::vector<std::string> missing_for_native_kvm() {
  auto missing = kvm::missing_on_host();
  if (auto program = program_missing(); !program.empty()) missing.push_back(std::move(program));
  return missing;
}

Result<sandbox::Sandbox> make_sandbox(bool wanted) {
  if (!wanted) return sandbox::Sandbox();
  return sandbox::Sandbox::create(restore_terminal);
}

std::unique_ptr<machine::Backend> make_native_kvm(machine::MachineConfig config) {
  return kvm_process::make_backend(std::move(config), machine_program());
}

Result<std::unique_ptr<machine::Backend>> make_native_kvm_restored(machine::MachineConfig config,
                                                                   const fs::path& folder) {
  if (const auto missing = program_missing(); !missing.empty()) return fail(missing, abi::ExitCode::HostLacks);
  return kvm_process::make_backend(std::move(config), machine_program(), fs::absolute(folder));
}

Error become_native_kvm(const std::vector<std::string>& arguments) {
  const std::string program = machine_program();
  std::vector<char*> words{const_cast<char*>(program.c_str())};  // execv does not write to them
  for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  ::execv(program.c_str(), words.data());
  const int error = errno;
  auto missing = program_missing();
  if (missing.empty()) missing = fail_errno("cannot start " + program, error).error().message;
  return {.message = std::move(missing), .exit_code = abi::ExitCode::HostLacks};
}

}  // namespace vmm::cli
