// What Arm's PrimeCell peripherals have in common.
#pragma once

#include <cstdint>

namespace vmm::mmio {

/// Every PrimeCell has a window of 4 KiB whose last 32 bytes tell what it is.
inline constexpr std::uint64_t kPrimeCellWindowBytes = 0x1000;
inline constexpr std::uint64_t kPrimeCellIds = 0xfe0;

/// Peripheral and cell identification: four registers of one byte each, four bytes apart (Arm DDI 0183 and DDI 0224,
/// "Peripheral Identification Registers", "PrimeCell Identification Registers").
/// @param offset        in the window, kPrimeCellIds or higher, a multiple of 4
/// @param peripheral_id the first four bytes, lowest first
constexpr std::uint32_t primecell_id(std::uint64_t offset, std::uint32_t peripheral_id) {
  constexpr std::uint32_t kCellId = 0xb105'f00d;
  const std::uint64_t index = (offset - kPrimeCellIds) / 4;
  return (index < 4 ? peripheral_id : kCellId) >> (8 * (index % 4)) & 0xff;
}
static_assert(primecell_id(0xfe0, 0x0014'1011) == 0x11 && primecell_id(0xffc, 0) == 0xb1);

}  // namespace vmm::mmio
