#include "gic.hpp"

#include <algorithm>

#include "guest/kernel/panic.hpp"

namespace guest::arch {
namespace {
constinit Gic* active_gic = nullptr;
}  // namespace

std::uint32_t interrupt_count(const GicFrame& distributor) {
  const std::uint32_t lines = 32 * ((distributor.read(GicdReg32::TYPER) & 0x1f) + 1);
  return std::min(lines, kFirstSpecial);
}

void set_active_gic(Gic& gic) {
  active_gic = &gic;
  kernel::interrupts().set_controller(gic);
}

void raise_software_interrupt(std::uint32_t id) {
  constexpr std::uint32_t kSoftwareInterrupts = 16;  // IHI 0069, INTIDs
  kernel::require(active_gic != nullptr && id < kSoftwareInterrupts, "no such software-generated interrupt");
  active_gic->raise_here(id);
}

std::string_view to_string(GicStatus status) {
  switch (status) {
    case GicStatus::Ok:
      return "ok";
    case GicStatus::Unmappable:
      return "a register window of the interrupt controller cannot be mapped";
    case GicStatus::NoSystemRegisters:
      return "the CPU has no GICv3 system registers, or they may not be used";
    case GicStatus::NoRedistributor:
      return "no redistributor belongs to this CPU";
    case GicStatus::NotAwake:
      return "the redistributor does not wake up";
  }
  return "unknown";
}

/// From vectors.S, interrupts masked.
extern "C" void interrupt_entry() {
  kernel::require(active_gic != nullptr, "an interrupt arrived before the controller was set up");
  active_gic->service();
}

}  // namespace guest::arch
