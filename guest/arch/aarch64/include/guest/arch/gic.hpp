// Generic Interrupt Controller: one interface, two implementations. Shared interrupts go to the CPU that attaches them.
#pragma once

#include <cstdint>
#include <span>

#include "guest/kernel/interrupts.hpp"

namespace guest::arch {

struct PhysicalRange {
  std::uint64_t base;
  std::uint64_t bytes;
};

enum class [[nodiscard]] GicStatus : std::uint8_t {
  Ok,
  Unmappable,         ///< a register window cannot be mapped
  NoSystemRegisters,  ///< GICv3 only: the CPU has no ICC registers, or a hypervisor forbids them
  NoRedistributor,    ///< GICv3 only: none of the given regions holds this CPU's
  NotAwake,           ///< GICv3 only: the redistributor does not leave its sleep
  Unreachable,        ///< GICv3 only: software-generated interrupts cannot name this CPU
};
std::string_view to_string(GicStatus status);

/// Sets the controller up for the boot CPU with every interrupt masked, and makes it the target of interrupt entry and
/// of kernel::interrupts(). Once, with interrupts masked. IHI 0048 (GICv2): distributor and CPU interface.
GicStatus init_gicv2(PhysicalRange distributor, PhysicalRange cpu_interface);
/// IHI 0069 (GICv3): distributor and redistributor regions. `stride`: bytes between redistributors, 0: as the
/// architecture lays them out.
GicStatus init_gicv3(PhysicalRange distributor, std::span<const PhysicalRange> redistributors, std::uint64_t stride);

/// The same for a CPU that starts later: its own interface. Interrupts masked.
GicStatus start_gic_on_this_cpu();

/// Raises the software-generated interrupt `id`, 0 to 15, on this CPU. Attach a handler first.
void raise_software_interrupt(std::uint32_t id);
/// The same on the CPU `cpu`, which is online. What this CPU wrote before is visible to the handler there.
void raise_software_interrupt(std::uint32_t id, std::uint32_t cpu);

}  // namespace guest::arch
