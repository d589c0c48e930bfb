// Generic Interrupt Controller: one interface, two implementations. Only this CPU's interrupts and SPIs routed to it.
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
};
std::string_view to_string(GicStatus status);

/// Sets the controller up for this CPU with every interrupt masked, and makes it the target of interrupt entry and of
/// kernel::interrupts(). Once, with interrupts masked.
/// IHI 0048 (GICv2): distributor and CPU interface.
GicStatus init_gicv2(PhysicalRange distributor, PhysicalRange cpu_interface);
/// IHI 0069 (GICv3): distributor and redistributor regions. `stride`: bytes between redistributors, 0: as the
/// architecture lays them out.
GicStatus init_gicv3(PhysicalRange distributor, std::span<const PhysicalRange> redistributors, std::uint64_t stride);

/// Raises the software-generated interrupt `id`, 0 to 15, on this CPU. Attach a handler first.
void raise_software_interrupt(std::uint32_t id);

}  // namespace guest::arch
