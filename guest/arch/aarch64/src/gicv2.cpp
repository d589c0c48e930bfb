// Arm IHI 0048, GIC architecture version 2.
#include "gic.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/model/field.hpp"

namespace guest::arch {
namespace {

enum class GiccReg32 : std::uint32_t {
  CTLR = 0x00,  // rw
  PMR = 0x04,   // rw
  BPR = 0x08,   // rw
  IAR = 0x0c,   // ro
  EOIR = 0x10,  // wo
};

namespace gicd_sgir {
using TargetFilter = Field<25, 24>;
using TargetList = Field<23, 16>;
}  // namespace gicd_sgir
constexpr std::uint64_t kOnlyThisCpu = 0b10;

class GicV2 final : public Gic {
 public:
  GicStatus init(PhysicalRange distributor, PhysicalRange cpu_interface) {
    MapStatus status = MapStatus::Ok;
    std::byte* const gicd = map_device(distributor.base, distributor.bytes, status);
    std::byte* const gicc = map_device(cpu_interface.base, cpu_interface.bytes, status);
    if (gicd == nullptr || gicc == nullptr) {
      return GicStatus::Unmappable;
    }
    gicd_ = GicFrame(gicd);
    gicc_ = reinterpret_cast<std::uintptr_t>(gicc);  // a mapped device window
    count_ = interrupt_count(gicd_);

    gicd_.write(GicdReg32::CTLR, 0, 0);
    for (std::uint32_t word = 0; word < (count_ + 31) / 32; ++word) {
      gicd_.write(GicdReg32::ICENABLER, word, ~std::uint32_t{0});
    }
    gicd_.write(GicdReg32::CTLR, 0, 1);
    return start_cpu();
  }

  /// Registers of the private interrupts and of the CPU interface are banked: each CPU reaches its own.
  GicStatus start_cpu() override {
    gicd_.write(GicdReg32::ICENABLER, 0, ~std::uint32_t{0});
    // Each CPU reads its own bit in the registers of the private interrupts. On a machine with one CPU they may read as
    // zero (IHI 0048, GICD_ITARGETSR); then the target is fixed.
    std::uint8_t bit = 0;
    for (std::uint32_t id = 0; id < kernel::kPrivateInterrupts && bit == 0; ++id) {
      bit = gicd_.read(GicdReg8::ITARGETSR, id);
    }
    cpu_bits_[cpu_index()] = bit;
    write(GiccReg32::PMR, kPriorityMask);
    write(GiccReg32::BPR, 0);
    write(GiccReg32::CTLR, 1);
    return GicStatus::Ok;
  }

  [[nodiscard]] std::uint32_t count() const override { return count_; }
  [[nodiscard]] std::string_view name() const override { return "GICv2"; }

  void enable(kernel::IntId interrupt, kernel::Trigger trigger) override {
    const auto id = static_cast<std::uint32_t>(interrupt);
    gicd_.write(GicdReg8::IPRIORITYR, id, kPriority);
    if (id >= kFirstSpi) {
      gicd_.set_trigger(id, trigger);
      gicd_.write(GicdReg8::ITARGETSR, id, cpu_bits_[cpu_index()]);
    }
    gicd_.write_bit(GicdReg32::ISENABLER, id);
  }

  void disable(kernel::IntId interrupt) override {
    gicd_.write_bit(GicdReg32::ICENABLER, static_cast<std::uint32_t>(interrupt));
  }

  void raise_here(std::uint32_t id) override {
    gicd_.write(GicdReg32::SGIR, 0, static_cast<std::uint32_t>(gicd_sgir::TargetFilter::encode(kOnlyThisCpu)) | id);
  }

  void raise_on(std::uint32_t cpu, std::uint32_t id) override {
    if (cpu == cpu_index()) {
      raise_here(id);  // on a machine with one CPU its bit may be unknown
      return;
    }
    gicd_.write(GicdReg32::SGIR, 0, static_cast<std::uint32_t>(gicd_sgir::TargetList::encode(cpu_bits_[cpu])) | id);
  }

  void service() override {
    const std::uint32_t acknowledged = mmio_read32(gicc_ + static_cast<std::uint32_t>(GiccReg32::IAR));
    const std::uint32_t id = acknowledged & 0x3ff;  // bits 12 to 10: CPU, for software-generated interrupts
    if (id >= kFirstSpecial) {
      kernel::interrupts().count_spurious();
      return;
    }
    kernel::interrupts().dispatch(kernel::IntId{id});
    write(GiccReg32::EOIR, acknowledged);
  }

 private:
  void write(GiccReg32 reg, std::uint32_t value) const { mmio_write32(gicc_ + static_cast<std::uint32_t>(reg), value); }

  GicFrame gicd_;
  std::uintptr_t gicc_ = 0;
  std::uint32_t count_ = 0;
  std::uint8_t cpu_bits_[kernel::kMaxCpus] = {};  ///< each CPU's bit among targets, written by itself
};

constinit GicV2 gic_v2;

}  // namespace

GicStatus init_gicv2(PhysicalRange distributor, PhysicalRange cpu_interface) {
  const GicStatus status = gic_v2.init(distributor, cpu_interface);
  if (status == GicStatus::Ok) {
    set_active_gic(gic_v2);
  }
  return status;
}

}  // namespace guest::arch
