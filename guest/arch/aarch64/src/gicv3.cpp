// Arm IHI 0069, GIC architecture version 3 and 4: one security state or the non-secure view.
#include "gic.hpp"
#include "guest/arch/cpu.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/model/field.hpp"
#include "guest/kernel/bounded_array.hpp"

namespace guest::arch {
namespace {

namespace gicd_ctlr {
using EnableGrp1 = Bit<0>;
using EnableGrp1A = Bit<1>;
using AreNs = Bit<4>;
using Rwp = Bit<31>;
}  // namespace gicd_ctlr

namespace gicd_typer {
using Rss = Bit<26>;  // software-generated interrupts reach every Aff0
}

namespace gicr_typer {
using Vlpis = Bit<1>;
using Last = Bit<4>;
using Affinity = Field<63, 32>;
}  // namespace gicr_typer

namespace gicr_waker {
using ProcessorSleep = Bit<1>;
using ChildrenAsleep = Bit<2>;
}  // namespace gicr_waker

namespace icc_sgi1r {
using TargetList = Field<15, 0>;
using Aff1 = Field<23, 16>;
using IntId = Field<27, 24>;
using Aff2 = Field<39, 32>;
using Rs = Field<47, 44>;
using Aff3 = Field<55, 48>;
}  // namespace icc_sgi1r

namespace icc_ctlr {
using Rss = Bit<18>;  // as GICD_TYPER.RSS, of this CPU as a sender
}

namespace icc_sre {
using Sre = Bit<0>;
}

constexpr std::uint64_t kTargetsPerRange = 16;
constexpr std::uint64_t kFrameBytes = 0x10000;
constexpr std::uint32_t kGicrCtlr = 0x0000;   // rw, 32 bits
constexpr std::uint32_t kGicrTyper = 0x0008;  // ro, 64 bits
constexpr std::uint32_t kGicrWaker = 0x0014;  // rw, 32 bits
constexpr unsigned kMaxPolls = 1'000'000;

class GicV3 final : public Gic {
 public:
  GicStatus init(PhysicalRange distributor, std::span<const PhysicalRange> redistributors, std::uint64_t stride) {
    if (!use_system_registers()) {
      return GicStatus::NoSystemRegisters;
    }
    MapStatus status = MapStatus::Ok;
    std::byte* const gicd = map_device(distributor.base, distributor.bytes, status);
    if (gicd == nullptr) {
      return GicStatus::Unmappable;
    }
    gicd_ = GicFrame(gicd);
    count_ = interrupt_count(gicd_);
    for (const PhysicalRange& region : redistributors) {
      kernel::require(regions_.push_back(region), "more regions of redistributors than there is room for");
    }
    stride_ = stride;
    if (const GicStatus found = find_redistributor(); found != GicStatus::Ok) {
      return found;
    }
    init_distributor();
    return start_interface();
  }

  GicStatus start_cpu() override {
    if (!use_system_registers()) {
      return GicStatus::NoSystemRegisters;
    }
    if (const GicStatus found = find_redistributor(); found != GicStatus::Ok) {
      return found;
    }
    return start_interface();
  }

  [[nodiscard]] std::uint32_t count() const override { return count_; }
  [[nodiscard]] std::string_view name() const override { return "GICv3"; }

  void enable(kernel::IntId interrupt, kernel::Trigger trigger) override {
    const auto id = static_cast<std::uint32_t>(interrupt);
    const GicFrame& frame = id < kFirstSpi ? here().sgi : gicd_;
    frame.write(GicdReg8::IPRIORITYR, id, kPriority);
    if (id >= kFirstSpi) {
      frame.set_trigger(id, trigger);
      frame.write(GicdReg64::IROUTER, id, sysreg::MpidrEl1::read() & mpidr_el1::kAffinityMask);
    }
    frame.write_bit(GicdReg32::ISENABLER, id);
  }

  void disable(kernel::IntId interrupt) override {
    const auto id = static_cast<std::uint32_t>(interrupt);
    (id < kFirstSpi ? here().sgi : gicd_).write_bit(GicdReg32::ICENABLER, id);
  }

  void raise_here(std::uint32_t id) override { raise_on(cpu_index(), id); }

  void raise_on(std::uint32_t cpu, std::uint32_t id) override {
    const std::uint64_t mpidr = cpus_[cpu].mpidr;
    const std::uint64_t aff0 = mpidr_el1::Aff0::decode(mpidr);
    sysreg::IccSgi1rEl1::write(icc_sgi1r::TargetList::encode(std::uint64_t{1} << (aff0 % kTargetsPerRange)) |
                               icc_sgi1r::Aff1::encode(mpidr_el1::Aff1::decode(mpidr)) | icc_sgi1r::IntId::encode(id) |
                               icc_sgi1r::Aff2::encode(mpidr_el1::Aff2::decode(mpidr)) |
                               icc_sgi1r::Rs::encode(aff0 / kTargetsPerRange) |
                               icc_sgi1r::Aff3::encode(mpidr_el1::Aff3::decode(mpidr)));
    isb();
  }

  void service() override {
    const std::uint64_t id = sysreg::IccIar1El1::read();
    dsb_sy();  // IHI 0069, ICC_IAR1_EL1: the acknowledge takes effect before the handler's accesses
    if (id >= kFirstSpecial) {
      kernel::interrupts().count_spurious();
      return;
    }
    kernel::interrupts().dispatch(static_cast<kernel::IntId>(id));
    sysreg::IccEoir1El1::write(id);
    isb();
  }

 private:
  /// What belongs to one CPU, written by that CPU when it starts.
  struct Cpu {
    std::uint64_t mpidr = 0;
    std::uintptr_t redistributor = 0;
    GicFrame sgi;  ///< SGI_base of the redistributor: registers as the distributor's, for INTIDs below 32
  };
  [[nodiscard]] Cpu& here() { return cpus_[cpu_index()]; }

  /// ICC_SRE_EL1 is one for each CPU. False: there are no ICC registers, or they may not be used.
  static bool use_system_registers() {
    if (id_aa64pfr0_el1::Gic::decode(sysreg::IdAa64Pfr0El1::read()) == 0) {
      return false;
    }
    sysreg::IccSreEl1::write(sysreg::IccSreEl1::read() | icc_sre::Sre::encode(true));
    isb();  // the other ICC registers exist from here
    return icc_sre::Sre::decode(sysreg::IccSreEl1::read());
  }

  /// IHI 0069, ICC_SGI1R_EL1, RS: a target list names 16 CPUs; which 16 can only be said where both sides support it.
  [[nodiscard]] bool reachable() const {
    return mpidr_el1::Aff0::decode(sysreg::MpidrEl1::read()) < kTargetsPerRange ||
           (gicd_typer::Rss::decode(gicd_.read(GicdReg32::TYPER)) && icc_ctlr::Rss::decode(sysreg::IccCtlrEl1::read()));
  }

  /// This CPU's redistributor and CPU interface, with every private interrupt masked.
  GicStatus start_interface() {
    if (!reachable()) {
      return GicStatus::Unreachable;
    }
    const Cpu& cpu = here();
    if (!wake(cpu.redistributor)) {
      return GicStatus::NotAwake;
    }
    cpu.sgi.write(GicdReg32::ICENABLER, 0, ~std::uint32_t{0});
    cpu.sgi.write(GicdReg32::IGROUPR, 0, ~std::uint32_t{0});
    wait_for_writes(cpu.redistributor + kGicrCtlr, std::uint32_t{1} << 3);  // GICR_CTLR.RWP

    sysreg::IccPmrEl1::write(kPriorityMask);
    sysreg::IccBpr1El1::write(0);
    sysreg::IccCtlrEl1::write(0);  // EOImode 0: the end of interrupt also deactivates
    sysreg::IccIgrpen1El1::write(1);
    isb();
    return GicStatus::Ok;
  }

  /// Walks the frames until the one with this CPU's affinity or the one marked last.
  GicStatus find_redistributor() {
    const std::uint64_t mpidr = sysreg::MpidrEl1::read();
    const std::uint64_t affinity =
        mpidr_el1::Aff3::decode(mpidr) << 24 | (mpidr & (mpidr_el1::kAffinityMask & 0xff'ffff));
    for (const PhysicalRange& region : regions_) {
      MapStatus status = MapStatus::Ok;
      std::byte* const base = map_device(region.base, region.bytes, status);  // the same window each time
      if (base == nullptr) {
        return GicStatus::Unmappable;
      }
      for (std::uint64_t at = 0; at + 2 * kFrameBytes <= region.bytes;) {
        const auto frame = reinterpret_cast<std::uintptr_t>(base + at);  // inside the mapped window
        const std::uint64_t typer = mmio_read64(frame + kGicrTyper);
        if (gicr_typer::Affinity::decode(typer) == affinity) {
          here() = {.mpidr = mpidr, .redistributor = frame, .sgi = GicFrame(base + at + kFrameBytes)};
          return GicStatus::Ok;
        }
        if (gicr_typer::Last::decode(typer)) {
          break;
        }
        const std::uint64_t frames = gicr_typer::Vlpis::decode(typer) ? 4 : 2;
        at += stride_ != 0 ? stride_ : frames * kFrameBytes;
      }
    }
    return GicStatus::NoRedistributor;
  }

  void init_distributor() const {
    gicd_.write(GicdReg32::CTLR, 0, 0);
    wait_for_distributor();
    for (std::uint32_t word = 1; word < (count_ + 31) / 32; ++word) {
      gicd_.write(GicdReg32::ICENABLER, word, ~std::uint32_t{0});
      gicd_.write(GicdReg32::IGROUPR, word, ~std::uint32_t{0});
    }
    wait_for_distributor();
    constexpr std::uint64_t kOn =
        gicd_ctlr::AreNs::encode(true) | gicd_ctlr::EnableGrp1A::encode(true) | gicd_ctlr::EnableGrp1::encode(true);
    gicd_.write(GicdReg32::CTLR, 0, static_cast<std::uint32_t>(kOn));
    wait_for_distributor();
  }

  static bool wake(std::uintptr_t redistributor) {
    const std::uint64_t waker = mmio_read32(redistributor + kGicrWaker);
    mmio_write32(redistributor + kGicrWaker,
                 static_cast<std::uint32_t>(gicr_waker::ProcessorSleep::replace(waker, false)));
    for (unsigned poll = 0; poll < kMaxPolls; ++poll) {
      if (!gicr_waker::ChildrenAsleep::decode(mmio_read32(redistributor + kGicrWaker))) {
        return true;
      }
    }
    return false;
  }

  void wait_for_distributor() const {
    for (unsigned poll = 0; poll < kMaxPolls && gicd_ctlr::Rwp::decode(gicd_.read(GicdReg32::CTLR)); ++poll) {
    }
  }
  static void wait_for_writes(std::uintptr_t address, std::uint32_t pending) {
    for (unsigned poll = 0; poll < kMaxPolls && (mmio_read32(address) & pending) != 0; ++poll) {
    }
  }

  GicFrame gicd_;
  Cpu cpus_[kernel::kMaxCpus];
  kernel::BoundedArray<PhysicalRange, 8> regions_;
  std::uint64_t stride_ = 0;
  std::uint32_t count_ = 0;
};

constinit GicV3 gic_v3;

}  // namespace

GicStatus init_gicv3(PhysicalRange distributor, std::span<const PhysicalRange> redistributors, std::uint64_t stride) {
  const GicStatus status = gic_v3.init(distributor, redistributors, stride);
  if (status == GicStatus::Ok) {
    set_active_gic(gic_v3);
  }
  return status;
}

}  // namespace guest::arch
