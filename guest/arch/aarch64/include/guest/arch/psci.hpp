// Power State Coordination Interface (Arm DEN 0022): CPUs on, power off, reset.
#pragma once

#include <cstdint>
#include <string_view>

namespace guest::arch {

/// How firmware is called.
enum class PsciConduit : std::uint8_t { None, Hvc, Smc };

/// From the device tree's /psci, "method". Until then power_off() tries what the entry level suggests.
void set_psci_conduit(PsciConduit conduit);

/// Arm DEN 0022, PSCI_VERSION: major in bits 31 to 16, minor below; 0 without PSCI.
std::uint32_t psci_version();

/// Arm DEN 0022, "Return error codes".
enum class [[nodiscard]] PsciStatus : std::int32_t {
  Success = 0,
  NotSupported = -1,
  InvalidParameters = -2,
  Denied = -3,
  AlreadyOn = -4,
  OnPending = -5,
  InternalFailure = -6,
  NotPresent = -7,
  Disabled = -8,
  InvalidAddress = -9,
};
/// The document's name of it, "INVALID_PARAMETERS".
std::string_view to_string(PsciStatus status);

/// A fast call of the SMC Calling Convention (Arm DEN0028) by PSCI's conduit; what it returns in x0. There is one:
/// psci_version() is not 0.
std::uint64_t smccc_call(std::uint32_t function, std::uint64_t argument);

/// CPU_ON: the CPU with the affinity fields `mpidr` starts at `entry_pa` with its MMU off and `context` in x0. Success
/// says that it was asked to.
PsciStatus cpu_on(std::uint64_t mpidr, std::uint64_t entry_pa, std::uint64_t context);
/// CPU_OFF of this CPU. Where firmware refuses it waits for ever with interrupts masked.
[[noreturn]] void cpu_off();

/// SYSTEM_OFF and SYSTEM_RESET. They do not return: where firmware refuses, the CPU waits for ever with interrupts
/// masked, which is all that is left to do.
[[noreturn]] void power_off();
[[noreturn]] void reset();

}  // namespace guest::arch
