#include "guest/arch/psci.hpp"

#include <iterator>

#include "guest/arch/cpu.hpp"
#include "guest/arch/early_boot.hpp"

namespace guest::arch {
namespace {

// Arm DEN 0022, function identifiers (SMC32 calls; CPU_ON as SMC64, since addresses have 64 bits).
enum class Function : std::uint32_t {
  Version = 0x8400'0000,
  CpuOff = 0x8400'0002,
  SystemOff = 0x8400'0008,
  SystemReset = 0x8400'0009,
  CpuOn = 0xc400'0003,
};

constinit PsciConduit conduit_in_use = PsciConduit::None;

struct Parameters {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::uint64_t third = 0;
};

/// SMC Calling Convention (Arm DEN 0028): function in w0, parameters from x1, result in x0, x1 to x17 may change.
std::uint64_t call(PsciConduit conduit, std::uint32_t function, const Parameters& parameters) {
  register std::uint64_t x0 asm("x0") = function;
  register std::uint64_t x1 asm("x1") = parameters.first;
  register std::uint64_t x2 asm("x2") = parameters.second;
  register std::uint64_t x3 asm("x3") = parameters.third;
  if (conduit == PsciConduit::Hvc) {
    asm volatile("hvc #0"
                 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                 :
                 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
                   "memory");
  } else {
    asm volatile("smc #0"
                 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                 :
                 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
                   "memory");
  }
  return x0;
}

std::int32_t call(PsciConduit conduit, Function function, const Parameters& parameters = {}) {
  return static_cast<std::int32_t>(call(conduit, static_cast<std::uint32_t>(function), parameters));
}

[[noreturn]] void leave(Function function) {
  mask_irq();
  PsciConduit conduit = conduit_in_use;
  if (conduit == PsciConduit::None) {
    // The device tree was not read. Whoever enters a kernel at EL2 has no hypervisor left, so firmware is behind smc.
    conduit = early_boot().entry_el == 2 ? PsciConduit::Smc : PsciConduit::Hvc;
  }
  call(conduit, function);
  for (;;) {
    wfi();
  }
}

}  // namespace

void set_psci_conduit(PsciConduit conduit) { conduit_in_use = conduit; }

std::uint32_t psci_version() {
  if (conduit_in_use == PsciConduit::None) {
    return 0;
  }
  const std::int32_t version = call(conduit_in_use, Function::Version);
  return version < 0 ? 0 : static_cast<std::uint32_t>(version);
}

std::string_view to_string(PsciStatus status) {
  constexpr std::string_view kNames[] = {"SUCCESS",    "NOT_SUPPORTED",  "INVALID_PARAMETERS", "DENIED",
                                         "ALREADY_ON", "ON_PENDING",     "INTERNAL_FAILURE",   "NOT_PRESENT",
                                         "DISABLED",   "INVALID_ADDRESS"};
  const std::int64_t index = -std::int64_t{static_cast<std::int32_t>(status)};
  return index >= 0 && index < std::ssize(kNames) ? kNames[index] : "an unknown PSCI error";
}

PsciStatus cpu_on(std::uint64_t mpidr, std::uint64_t entry_pa, std::uint64_t context) {
  if (conduit_in_use == PsciConduit::None) {
    return PsciStatus::NotSupported;
  }
  return PsciStatus{call(conduit_in_use, Function::CpuOn, {.first = mpidr, .second = entry_pa, .third = context})};
}

std::uint64_t smccc_call(std::uint32_t function, std::uint64_t argument) {
  return call(conduit_in_use, function, {.first = argument});
}

void cpu_off() { leave(Function::CpuOff); }
void power_off() { leave(Function::SystemOff); }
void reset() { leave(Function::SystemReset); }

}  // namespace guest::arch
