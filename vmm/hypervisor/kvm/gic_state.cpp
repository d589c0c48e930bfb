// The interrupt controller's registers, read and written as a snapshot needs them. Which, and in which order: Linux,
// Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic.rst; their offsets: Arm IHI 0069 (GICv3), IHI 0048 (v2).
#include <asm/kvm.h>

#include <algorithm>
#include <array>
#include <optional>

#include "vmm/hypervisor/kvm/gic.hpp"

namespace vmm::kvm {
namespace {

using hypervisor::GicRegister;
using hypervisor::GicState;

constexpr std::uint32_t kDistributor = KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
constexpr std::uint32_t kRedistributor = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS;
constexpr std::uint32_t kSystemRegisters = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS;
constexpr std::uint32_t kCpuInterface = KVM_DEV_ARM_VGIC_GRP_CPU_REGS;  // of a GICv2
constexpr std::uint32_t kLevels = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;

constexpr std::uint32_t kPrivateInterrupts = 32;
constexpr std::uint64_t kSgiFrame = 0x1'0000;  ///< of a redistributor, RD_base to SGI_base

/// Registers of the distributor, and of a redistributor's SGI frame, which has the same layout.
enum Offset : std::uint64_t {
  kCtlr = 0x000,
  kIidr = 0x008,
  kGroup = 0x080,
  kSetEnable = 0x100,
  kClearEnable = 0x180,
  kSetPending = 0x200,
  kSetActive = 0x300,
  kPriority = 0x400,
  kTargets = 0x800,  ///< GICv2
  kConfig = 0xc00,
  kSgiSetPending = 0xf20,  ///< GICv2: GICD_SPENDSGIRn
  kRoute = 0x6000,         ///< GICv3: GICD_IROUTERn
};
constexpr std::uint64_t kRedistributorWaker = 0x014;

/// Op0, Op1, CRn, CRm, Op2 of a system register as KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS wants them.
constexpr std::uint64_t system_register(unsigned op0, unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
  return op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}
constexpr std::array kIccRegisters{
    system_register(3, 0, 12, 12, 5),  // ICC_SRE_EL1
    system_register(3, 0, 12, 12, 4),  // ICC_CTLR_EL1
    system_register(3, 0, 4, 6, 0),    // ICC_PMR_EL1
    system_register(3, 0, 12, 8, 3),   // ICC_BPR0_EL1
    system_register(3, 0, 12, 12, 3),  // ICC_BPR1_EL1
    system_register(3, 0, 12, 8, 4),   // ICC_AP0R0_EL1
    system_register(3, 0, 12, 9, 0),   // ICC_AP1R0_EL1
    system_register(3, 0, 12, 12, 6),  // ICC_IGRPEN0_EL1
    system_register(3, 0, 12, 12, 7),  // ICC_IGRPEN1_EL1
};
/// Those of more than 5 bits of priority: KVM refuses what the host's hardware has not.
constexpr std::array kMoreActivePriorities{
    system_register(3, 0, 12, 8, 5), system_register(3, 0, 12, 8, 6), system_register(3, 0, 12, 8, 7),
    system_register(3, 0, 12, 9, 1), system_register(3, 0, 12, 9, 2), system_register(3, 0, 12, 9, 3),
};
/// GICC_CTLR, GICC_PMR, GICC_BPR, GICC_ABPR, GICC_APR0.
constexpr std::array<std::uint64_t, 5> kGiccRegisters{0x00, 0x04, 0x08, 0x1c, 0xd0};

/// Collects registers until one cannot be read.
class Collector {
 public:
  explicit Collector(const Device& device) : device_(device) {}

  void add32(std::uint32_t group, std::uint64_t attribute) {
    if (!done_) return;
    const auto value = device_.get32({group, attribute});
    if (!value) return fail(value.error());
    state_.push_back({.attribute = attribute, .value = *value, .group = group, .size_bytes = 4});
  }
  void add64(std::uint32_t group, std::uint64_t attribute) {
    if (!done_) return;
    const auto value = device_.get64({group, attribute});
    if (!value) return fail(value.error());
    state_.push_back({.attribute = attribute, .value = *value, .group = group, .size_bytes = 8});
  }
  /// What is to be written and cannot be read: registers that clear.
  void add_write(std::uint32_t group, std::uint64_t attribute, std::uint32_t value) {
    state_.push_back({.attribute = attribute, .value = value, .group = group, .size_bytes = 4});
  }
  void add64_if_there(std::uint32_t group, std::uint64_t attribute) {
    if (device_.get64({group, attribute})) add64(group, attribute);
  }

  Result<GicState> finish() {
    if (!done_) return std::unexpected(std::move(done_.error()).because_of("cannot save the interrupt controller"));
    return std::move(state_);
  }

 private:
  void fail(const Error& error) { done_ = std::unexpected(error); }

  const Device& device_;
  GicState state_;
  Result<> done_;
};

/// The registers with a field for each interrupt: of interrupts [first, end), of which `base` is the first one's place.
/// The configuration comes before what is pending: it tells KVM what a pending level means.
void add_interrupts(Collector& to, std::uint32_t group, std::uint64_t base, std::uint32_t first, std::uint32_t end) {
  const auto words = [&](std::uint64_t offset, std::uint32_t bits_each) {
    for (std::uint32_t id = first; id < end; id += 32 / bits_each) {
      to.add32(group, base + offset + std::uint64_t{id} * bits_each / 8);
    }
  };
  words(kGroup, 1);
  words(kConfig, 2);
  words(kPriority, 8);
  // Software-generated interrupts are enabled in a fresh one.
  for (std::uint32_t id = first; id < end; id += 32) to.add_write(group, base + kClearEnable + id / 8, UINT32_MAX);
  words(kSetEnable, 1);
  words(kSetActive, 1);
  words(kSetPending, 1);
}

void add_levels(Collector& to, std::uint64_t base, std::uint32_t first, std::uint32_t end) {
  constexpr std::uint64_t kLine = std::uint64_t{VGIC_LEVEL_INFO_LINE_LEVEL} << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT;
  for (std::uint32_t id = first; id < end; id += 32) to.add32(kLevels, base | kLine | id);
}

/// Aff3, Aff2, Aff1, Aff0 in 32 bits, above the offset.
std::uint64_t redistributor_of(std::uint64_t affinity) {
  return ((affinity >> 32 & 0xff) << 24 | (affinity & 0xff'ffff)) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

Result<GicState> save_v3(const Device& device, std::uint32_t interrupts, std::span<const std::uint64_t> affinities) {
  Collector to(device);
  to.add32(kDistributor, kIidr);  // how the rest is to be understood
  to.add32(kDistributor, kCtlr);
  for (const std::uint64_t affinity : affinities) {
    const std::uint64_t cpu = redistributor_of(affinity);
    to.add32(kRedistributor, cpu | kRedistributorWaker);
    add_interrupts(to, kRedistributor, cpu | kSgiFrame, 0, kPrivateInterrupts);
    add_levels(to, cpu, 0, kPrivateInterrupts);
  }
  for (std::uint32_t id = kPrivateInterrupts; id < interrupts; ++id) {
    for (const std::uint64_t half : {0, 4}) to.add32(kDistributor, kRoute + std::uint64_t{id} * 8 + half);
  }
  add_interrupts(to, kDistributor, 0, kPrivateInterrupts, interrupts);
  add_levels(to, 0, kPrivateInterrupts, interrupts);
  for (const std::uint64_t affinity : affinities) {
    const std::uint64_t cpu = redistributor_of(affinity);
    for (const std::uint64_t icc : kIccRegisters) to.add64(kSystemRegisters, cpu | icc);
    for (const std::uint64_t icc : kMoreActivePriorities) to.add64_if_there(kSystemRegisters, cpu | icc);
  }
  return to.finish();
}

Result<GicState> save_v2(const Device& device, std::uint32_t interrupts, std::uint32_t cpus) {
  Collector to(device);
  to.add32(kDistributor, kIidr);
  to.add32(kDistributor, kCtlr);
  for (std::uint64_t index = 0; index < cpus; ++index) {
    const std::uint64_t cpu = index << KVM_DEV_ARM_VGIC_CPUID_SHIFT;
    add_interrupts(to, kDistributor, cpu, 0, kPrivateInterrupts);
    for (std::uint64_t offset = 0; offset < 16; offset += 4) to.add32(kDistributor, cpu | (kSgiSetPending + offset));
  }
  for (std::uint32_t id = kPrivateInterrupts; id < interrupts; id += 4) to.add32(kDistributor, kTargets + id);
  add_interrupts(to, kDistributor, 0, kPrivateInterrupts, interrupts);
  for (std::uint64_t index = 0; index < cpus; ++index) {
    for (const std::uint64_t gicc : kGiccRegisters) {
      to.add32(kCpuInterface, index << KVM_DEV_ARM_VGIC_CPUID_SHIFT | gicc);
    }
  }
  return to.finish();
}

}  // namespace

Result<GicState> Gic::save(std::span<const std::uint64_t> affinities) const {
  return config_.version == DeviceType::GicV3 ? save_v3(device_, config_.interrupt_ids, affinities)
                                              : save_v2(device_, config_.interrupt_ids, config_.cpus);
}

Result<> Gic::restore(const GicState& state) const {
  constexpr std::array kRegisters{kDistributor, kRedistributor, kSystemRegisters, kCpuInterface, kLevels};
  for (const GicRegister& saved : state) {
    // A snapshot is a file: it shall write registers, not move the controller or initialise it again.
    if (std::ranges::find(kRegisters, saved.group) == kRegisters.end()) {
      return fail("saved interrupt controller: group " + std::to_string(saved.group) + " has no registers");
    }
    const Attribute attribute{saved.group, saved.attribute};
    const auto set = saved.size_bytes == 8 ? device_.set(attribute, saved.value)
                                           : device_.set(attribute, static_cast<std::uint32_t>(saved.value));
    if (!set)
      return std::unexpected(
          Error(set.error()).because_of("this host refuses a saved register of the interrupt controller"));
  }
  return {};
}

}  // namespace vmm::kvm
