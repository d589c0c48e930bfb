// Which back end runs a machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::cli {

/// What is missing for the native KVM back end; empty: nothing. Asked only when the answer matters.
using NativeKvmProbe = std::function<std::vector<std::string>()>;

/// Qemu or Kvm. Auto is the native KVM back end where it can run the machine: on an ARM64 host with a usable /dev/kvm,
/// unless the machine asks for something that only QEMU has (another accelerator, a CPU model, icount).
/// Errors: ExitCode::HostLacks when the back end that was named cannot run here, ExitCode::Usage when it cannot do what
/// the machine asks for.
Result<scenario::Backend> choose_backend(const scenario::Machine& machine, const NativeKvmProbe& missing);

}  // namespace vmm::cli
