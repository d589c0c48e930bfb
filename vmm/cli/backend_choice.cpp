#include "vmm/cli/backend_choice.hpp"

namespace vmm::cli {
namespace {

using scenario::Accel;
using scenario::Backend;

/// Why only QEMU can run the machine; empty if KVM can.
std::string only_qemu(const scenario::Machine& machine) {
  if (!machine.cpu.empty() && machine.cpu != "host") {
    return "machine.cpu is " + machine.cpu + ", but the KVM back end runs the host's CPU: leave it out, or use host";
  }
  if (machine.icount_shift) return "machine.icount_shift needs QEMU's TCG";
  if (machine.accel == Accel::Tcg || machine.accel == Accel::Hvf) {
    return "machine.accel names an accelerator of QEMU's: use auto or kvm";
  }
  return {};
}

}  // namespace

Result<Backend> choose_backend(const scenario::Machine& machine, const NativeKvmProbe& missing) {
  if (machine.backend == Backend::Qemu) return Backend::Qemu;
  const std::string why_qemu = only_qemu(machine);
  if (machine.backend == Backend::Auto) return why_qemu.empty() && missing().empty() ? Backend::Kvm : Backend::Qemu;
  if (!why_qemu.empty()) return fail(why_qemu, abi::ExitCode::Usage);
  if (const auto lacks = missing(); !lacks.empty()) {
    return fail(lacks.front() + "; `--backend qemu` runs the machine by QEMU", abi::ExitCode::HostLacks);
  }
  return Backend::Kvm;
}

}  // namespace vmm::cli
