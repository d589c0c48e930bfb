// Power State Coordination Interface (Arm DEN 0022): power off, reset.
#pragma once

#include <cstdint>

namespace guest::arch {

/// How firmware is called.
enum class PsciConduit : std::uint8_t { None, Hvc, Smc };

/// From the device tree's /psci, "method". Until then power_off() tries what the entry level suggests.
void set_psci_conduit(PsciConduit conduit);

/// Arm DEN 0022, PSCI_VERSION: major in bits 31 to 16, minor below; 0 without PSCI.
std::uint32_t psci_version();

/// SYSTEM_OFF and SYSTEM_RESET. They do not return: where firmware refuses, the CPU waits for ever with interrupts
/// masked, which is all that is left to do.
[[noreturn]] void power_off();
[[noreturn]] void reset();

}  // namespace guest::arch
