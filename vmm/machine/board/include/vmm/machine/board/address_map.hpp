// Where everything lies in the machine's physical address space: the map of QEMU's `virt` machine (QEMU,
// hw/arm/virt.c, base_memmap and a15irqmap), so that one map is in everyone's head.
//
//   0x0800'0000  GIC distributor
//   0x0801'0000  GICv2 CPU interface          (with GICv2)
//   0x080a'0000  GICv3 redistributors         (with GICv3; 128 KiB for each CPU)
//   0x0900'0000  PL011                        SPI 1
//   0x0901'0000  PL031                        SPI 2
//   0x0a00'0000  virtio-mmio slots of 0x200   SPI 16 + n
//   0x4000'0000  RAM
#pragma once

#include <cstdint>

#include "vmm/memory/guest_memory.hpp"

namespace vmm::board {

/// [base, base + size_bytes); never wraps.
struct AddressRange {
  Gpa base;
  std::uint64_t size_bytes = 0;

  /// The first address behind it; wraps to 0 only for a range at the end of the address space, which none of ours is.
  [[nodiscard]] constexpr Gpa end() const { return Gpa(base.value() + size_bytes); }
  /// Whether [other.base, other.end()) lies in here.
  [[nodiscard]] constexpr bool contains(const AddressRange& other) const {
    return other.base >= base && other.size_bytes <= size_bytes &&
           other.base.value() - base.value() <= size_bytes - other.size_bytes;
  }
  [[nodiscard]] constexpr bool overlaps(const AddressRange& other) const {
    if (size_bytes == 0 || other.size_bytes == 0) return false;
    return base < other.base ? other.base.value() - base.value() < size_bytes
                             : base.value() - other.base.value() < other.size_bytes;
  }
  friend constexpr bool operator==(const AddressRange&, const AddressRange&) = default;
};

inline constexpr AddressRange kGicDistributor{Gpa(0x0800'0000), 0x1'0000};
inline constexpr AddressRange kGicCpuInterface{Gpa(0x0801'0000), 0x1'0000};
/// Room for the redistributors of 123 CPUs.
inline constexpr AddressRange kGicRedistributors{Gpa(0x080a'0000), 0xf6'0000};
/// RD_base and SGI_base frames of one CPU (Arm IHI 0069, "GIC Redistributor memory map").
inline constexpr std::uint64_t kGicRedistributorBytes = 0x2'0000;

inline constexpr AddressRange kPl011{Gpa(0x0900'0000), 0x1000};
inline constexpr AddressRange kPl031{Gpa(0x0901'0000), 0x1000};

inline constexpr unsigned kVirtioSlots = 32;
inline constexpr std::uint64_t kVirtioSlotBytes = 0x200;
/// @param slot below kVirtioSlots
constexpr AddressRange virtio_slot(unsigned slot) {
  return {Gpa(0x0a00'0000 + slot * kVirtioSlotBytes), kVirtioSlotBytes};
}

inline constexpr Gpa kRamBase{0x4000'0000};

/// Shared peripheral interrupts, counted from 0: interrupt id minus 32.
inline constexpr std::uint32_t kPl011Spi = 1;
inline constexpr std::uint32_t kPl031Spi = 2;
constexpr std::uint32_t virtio_spi(unsigned slot) { return 16 + slot; }
/// Interrupt ids that the GIC has to have: a multiple of 32, the private ones included.
inline constexpr std::uint32_t kInterruptIds = 96;
static_assert(32 + virtio_spi(kVirtioSlots - 1) < kInterruptIds);

/// Private peripheral interrupts, counted from 0: interrupt id minus 16 (Arm Base System Architecture, "PPI
/// assignments").
inline constexpr std::uint32_t kPmuPpi = 7;
inline constexpr std::uint32_t kHypervisorTimerPpi = 10;
inline constexpr std::uint32_t kVirtualTimerPpi = 11;
inline constexpr std::uint32_t kSecureTimerPpi = 13;
inline constexpr std::uint32_t kPhysicalTimerPpi = 14;

}  // namespace vmm::board
