#include "vmm/hypervisor/kvm/gic.hpp"

#include <asm/kvm.h>
#include <linux/kvm.h>

namespace vmm::kvm {
namespace {

/// arm-vgic-v3.rst, "KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION": how many redistributors, from which address, region 0.
std::uint64_t redistributor_region(const GicConfig& config) {
  constexpr unsigned kCountShift = 52;
  return static_cast<std::uint64_t>(config.cpus) << kCountShift | config.redistributors.value();
}

Result<> set_addresses(const Device& device, const GicConfig& config) {
  constexpr std::uint32_t kGroup = KVM_DEV_ARM_VGIC_GRP_ADDR;
  if (config.version == DeviceType::GicV2) {
    if (auto set = device.set({kGroup, KVM_VGIC_V2_ADDR_TYPE_DIST}, config.distributor.value()); !set) return set;
    return device.set({kGroup, KVM_VGIC_V2_ADDR_TYPE_CPU}, config.cpu_interface.value());
  }
  if (auto set = device.set({kGroup, KVM_VGIC_V3_ADDR_TYPE_DIST}, config.distributor.value()); !set) return set;
  // Linux before 4.18 has one region, of as many redistributors as there are CPUs.
  const Attribute region{kGroup, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION};
  if (device.has(region)) return device.set(region, redistributor_region(config));
  return device.set({kGroup, KVM_VGIC_V3_ADDR_TYPE_REDIST}, config.redistributors.value());
}

}  // namespace

Result<Gic> Gic::create(const Vm& vm, const GicConfig& config) {
  const char* const what = config.version == DeviceType::GicV3 ? "cannot create the GICv3" : "cannot create the GICv2";
  auto device = vm.create_device(config.version);
  if (!device) return std::unexpected(std::move(device.error()).because_of(what));
  Gic gic(std::move(*device), config);
  auto done = set_addresses(gic.device_, config);
  if (done) done = gic.device_.set({KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0}, config.interrupt_ids);
  if (done) done = gic.device_.command({KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT});
  if (!done) return std::unexpected(std::move(done.error()).because_of(what));
  return gic;
}

}  // namespace vmm::kvm
