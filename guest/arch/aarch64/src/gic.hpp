// What the two controllers share.
#pragma once

#include <cstdint>

#include "guest/arch/gic.hpp"
#include "guest/arch/mmio.hpp"

namespace guest::arch {

/// Priority of everything: one level, in the middle. IHI 0069, "Interrupt prioritization": lower is more urgent.
inline constexpr std::uint8_t kPriority = 0xa0;
/// Everything more urgent than this is let through.
inline constexpr std::uint8_t kPriorityMask = 0xf0;
inline constexpr std::uint32_t kFirstSpi = kernel::kPrivateInterrupts;
inline constexpr std::uint32_t kFirstSpecial = 1020;  ///< INTIDs from here mean "none"

/// Distributor registers that GICv2 and GICv3 have alike (the redistributor's SGI frame too, for INTIDs below 32).
/// Offsets by access width; one array of fields per register name.
enum class GicdReg32 : std::uint32_t {
  CTLR = 0x0000,       // v2, v3  rw
  TYPER = 0x0004,      // v2, v3  ro
  IGROUPR = 0x0080,    // v2, v3  rw  1 bit per interrupt
  ISENABLER = 0x0100,  // v2, v3  rw  1 bit, write 1 to set
  ICENABLER = 0x0180,  // v2, v3  rw  1 bit, write 1 to clear
  ICPENDR = 0x0280,    // v2, v3  rw  1 bit, write 1 to clear
  ICFGR = 0x0c00,      // v2, v3  rw  2 bits, bit 1: edge
  SGIR = 0x0f00,       // v2      wo  target filter, INTID
};
enum class GicdReg8 : std::uint32_t {
  IPRIORITYR = 0x0400,  // v2, v3  rw
  ITARGETSR = 0x0800,   // v2      rw  SPIs; reads of 0 to 31 give this CPU's bit
};
enum class GicdReg64 : std::uint32_t {
  IROUTER = 0x6000,  // v3  rw  from INTID 32
};

class GicFrame {
 public:
  constexpr GicFrame() = default;
  explicit GicFrame(std::byte* base) : base_(reinterpret_cast<std::uintptr_t>(base)) {}  // a mapped device window

  [[nodiscard]] std::uint32_t read(GicdReg32 reg, std::uint32_t index = 0) const {
    return mmio_read32(base_ + static_cast<std::uint32_t>(reg) + 4 * std::uintptr_t{index});
  }
  void write(GicdReg32 reg, std::uint32_t index, std::uint32_t value) const {
    mmio_write32(base_ + static_cast<std::uint32_t>(reg) + 4 * std::uintptr_t{index}, value);
  }
  [[nodiscard]] std::uint8_t read(GicdReg8 reg, std::uint32_t index) const {
    return mmio_read8(base_ + static_cast<std::uint32_t>(reg) + index);
  }
  void write(GicdReg8 reg, std::uint32_t index, std::uint8_t value) const {
    mmio_write8(base_ + static_cast<std::uint32_t>(reg) + index, value);
  }
  void write(GicdReg64 reg, std::uint32_t index, std::uint64_t value) const {
    mmio_write64(base_ + static_cast<std::uint32_t>(reg) + 8 * std::uintptr_t{index}, value);
  }

  /// The bit of `id` in a register with one bit per interrupt.
  void write_bit(GicdReg32 reg, std::uint32_t id) const { write(reg, id / 32, std::uint32_t{1} << (id % 32)); }
  void set_trigger(std::uint32_t id, kernel::Trigger trigger) const {
    const std::uint32_t edge = std::uint32_t{0b10} << (2 * (id % 16));
    const std::uint32_t others = read(GicdReg32::ICFGR, id / 16) & ~edge;
    write(GicdReg32::ICFGR, id / 16, trigger == kernel::Trigger::Edge ? others | edge : others);
  }

 private:
  std::uintptr_t base_ = 0;
};

/// IHI 0069, GICD_TYPER.ITLinesNumber: 32 * (N + 1) interrupts, at most 1020.
std::uint32_t interrupt_count(const GicFrame& distributor);

/// The controller as one CPU after the other uses it. The distributor is shared; each CPU has its own interface to it.
class Gic : public kernel::InterruptController {
 public:
  /// Sets up this CPU's interface with every private interrupt masked. On the boot CPU init() does it.
  virtual GicStatus start_cpu() = 0;
  /// What interrupt entry calls: acknowledges one interrupt, dispatches it, ends it.
  virtual void service() = 0;
  /// Raises the software-generated interrupt `id`, 0 to 15, on this CPU.
  virtual void raise_here(std::uint32_t id) = 0;
  /// Raises it on the CPU `cpu`, which has gone through start_cpu().
  virtual void raise_on(std::uint32_t cpu, std::uint32_t id) = 0;

 protected:
  ~Gic() = default;
};
void set_active_gic(Gic& gic);

}  // namespace guest::arch
