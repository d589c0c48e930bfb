#include "gic.hpp"

#include <algorithm>

#include "guest/arch/cpu.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"

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

GicStatus start_gic_on_this_cpu() {
  kernel::require(active_gic != nullptr, "a CPU was started before the interrupt controller");
  return active_gic->start_cpu();
}

void raise_software_interrupt(std::uint32_t id) {
  kernel::require(active_gic != nullptr && id < kernel::kSoftwareInterrupts, "no such software-generated interrupt");
  active_gic->raise_here(id);
}

void raise_software_interrupt(std::uint32_t id, std::uint32_t cpu) {
  kernel::require(active_gic != nullptr && id < kernel::kSoftwareInterrupts && cpu < kernel::kMaxCpus,
                  "no such software-generated interrupt");
  // The interrupt overtakes nothing: stores before it are visible in the inner-shareable domain, where all CPUs are,
  // before the controller is told. Neither a store to a device nor a system register is ordered with them otherwise.
  dsb_ishst();
  active_gic->raise_on(cpu, id);
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
    case GicStatus::Unreachable:
      return "the controller cannot send this CPU software-generated interrupts (GICD_TYPER.RSS)";
  }
  return "unknown";
}

/// From vectors.S, interrupts masked. They were masked until the controller was set up, so there is one.
extern "C" void interrupt_entry() {
  threads::Dispatcher* const here = threads::find_dispatcher();
  if (here == nullptr) {  // this CPU has not begun with threads
    active_gic->service();
    return;
  }
  here->enter_interrupt();
  active_gic->service();
  here->leave_interrupt();  // another thread may run now; this one returns from its interrupt when it is chosen again
}

}  // namespace guest::arch
