#include "guest/arch/psci.hpp"

#include "guest/arch/cpu.hpp"
#include "guest/arch/early_boot.hpp"

namespace guest::arch {
namespace {

// Arm DEN 0022, function identifiers (SMC32 calls).
enum class Function : std::uint32_t { Version = 0x8400'0000, SystemOff = 0x8400'0008, SystemReset = 0x8400'0009 };

constinit PsciConduit conduit_in_use = PsciConduit::None;

std::int32_t call(PsciConduit conduit, Function function) {
  // SMC Calling Convention (Arm DEN 0028): function in w0, result in w0, x1 to x17 may change.
  register std::uint64_t x0 asm("x0") = static_cast<std::uint32_t>(function);
  if (conduit == PsciConduit::Hvc) {
    asm volatile("hvc #0"
                 : "+r"(x0)
                 :
                 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                   "x16", "x17", "memory");
  } else {
    asm volatile("smc #0"
                 : "+r"(x0)
                 :
                 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                   "x16", "x17", "memory");
  }
  return static_cast<std::int32_t>(x0);
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

void power_off() { leave(Function::SystemOff); }
void reset() { leave(Function::SystemReset); }

}  // namespace guest::arch
