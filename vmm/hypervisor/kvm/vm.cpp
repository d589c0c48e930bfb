#include "vmm/hypervisor/kvm/vm.hpp"

#include <linux/kvm.h>

#include "ioctl.hpp"

namespace vmm::kvm {
namespace {

/// api.rst, "KVM_IRQ_LINE": irq_type 1 is a shared peripheral interrupt, by its interrupt id.
constexpr std::uint32_t kFirstSpi = 32;
constexpr std::uint32_t irq_line(std::uint32_t spi) {
  return std::uint32_t{KVM_ARM_IRQ_TYPE_SPI} << KVM_ARM_IRQ_TYPE_SHIFT | (kFirstSpi + spi);
}

constexpr std::uint32_t type_number(DeviceType type) {
  return type == DeviceType::GicV3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2;
}

Result<> access(const UniqueFd& fd, Request kind, Attribute attribute, const void* value) {
  kvm_device_attr request{};
  request.group = attribute.group;
  request.attr = attribute.number;
  request.addr = reinterpret_cast<std::uintptr_t>(value);  // the kernel takes the address as a number
  auto result = done(call(fd, kind, &request));
  if (result) return {};
  return std::unexpected(
      std::move(result.error())
          .because_of("group " + std::to_string(attribute.group) + " attribute " + std::to_string(attribute.number)));
}

}  // namespace

Result<> Vm::set_memory(std::uint32_t slot, Gpa base, GuestSlice memory) {
  kvm_userspace_memory_region region{};
  region.slot = slot;
  region.guest_phys_addr = base.value();
  region.memory_size = memory.size();
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory.raw());  // the kernel takes it as a number
  return done(call(fd_, KVM_REQUEST(KVM_SET_USER_MEMORY_REGION), &region));
}

Result<Vcpu> Vm::create_vcpu(unsigned index) const {
  auto fd = descriptor(call(fd_, KVM_REQUEST(KVM_CREATE_VCPU), index));
  if (!fd) return std::unexpected(std::move(fd.error()).because_of("cannot create CPU " + std::to_string(index)));
  auto shared = MappedRegion::map_sized(*fd, run_bytes_);
  if (!shared) return std::unexpected(std::move(shared.error()));
  return Vcpu(std::move(*fd), std::move(*shared), index);
}

bool Vm::supports(DeviceType type) const {
  kvm_create_device request{};
  request.type = type_number(type);
  request.flags = KVM_CREATE_DEVICE_TEST;
  return call(fd_, KVM_REQUEST(KVM_CREATE_DEVICE), &request).has_value();
}

Result<Device> Vm::create_device(DeviceType type) const {
  kvm_create_device request{};
  request.type = type_number(type);
  auto created = done(call(fd_, KVM_REQUEST(KVM_CREATE_DEVICE), &request));
  if (!created) return std::unexpected(std::move(created.error()));
  return Device(UniqueFd(static_cast<int>(request.fd)));
}

Result<> Vm::set_level(std::uint32_t spi, bool asserted) const {
  kvm_irq_level request{};
  request.irq = irq_line(spi);
  request.level = asserted ? 1 : 0;
  return done(call(fd_, KVM_REQUEST(KVM_IRQ_LINE), &request));
}

Result<> Vm::connect_interrupt(std::uint32_t spi, const Notifier& notifier) {
  kvm_irqfd request{};
  request.fd = static_cast<std::uint32_t>(notifier.fd());
  // The routing that the interrupt controller starts with: pin n is shared peripheral interrupt n.
  request.gsi = spi;
  return done(call(fd_, KVM_REQUEST(KVM_IRQFD), &request));
}

Result<> Vm::connect_doorbell(const Doorbell& doorbell, const Notifier& notifier) {
  kvm_ioeventfd request{};
  request.datamatch = doorbell.value;
  request.addr = doorbell.address.value();
  request.len = sizeof doorbell.value;
  request.fd = notifier.fd();
  request.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
  return done(call(fd_, KVM_REQUEST(KVM_IOEVENTFD), &request));
}

Result<> Vm::preferred_target(kvm_vcpu_init& init) const {
  return done(call(fd_, KVM_REQUEST(KVM_ARM_PREFERRED_TARGET), &init));
}

Result<> Vm::enable_undecodable_reports() {
  kvm_enable_cap request{};
  request.cap = KVM_CAP_ARM_NISV_TO_USER;
  return done(call(fd_, KVM_REQUEST(KVM_ENABLE_CAP), &request));
}

bool Device::has(Attribute attribute) const {
  kvm_device_attr request{};
  request.group = attribute.group;
  request.attr = attribute.number;
  return call(fd_, KVM_REQUEST(KVM_HAS_DEVICE_ATTR), &request).has_value();
}

Result<> Device::command(Attribute attribute) const {
  return access(fd_, KVM_REQUEST(KVM_SET_DEVICE_ATTR), attribute, nullptr);
}
Result<> Device::set(Attribute attribute, std::uint32_t value) const {
  return access(fd_, KVM_REQUEST(KVM_SET_DEVICE_ATTR), attribute, &value);
}
Result<> Device::set(Attribute attribute, std::uint64_t value) const {
  return access(fd_, KVM_REQUEST(KVM_SET_DEVICE_ATTR), attribute, &value);
}
Result<std::uint32_t> Device::get32(Attribute attribute) const {
  std::uint32_t value = 0;
  if (auto got = access(fd_, KVM_REQUEST(KVM_GET_DEVICE_ATTR), attribute, &value); !got) {
    return std::unexpected(std::move(got.error()));
  }
  return value;
}
Result<std::uint64_t> Device::get64(Attribute attribute) const {
  std::uint64_t value = 0;
  if (auto got = access(fd_, KVM_REQUEST(KVM_GET_DEVICE_ATTR), attribute, &value); !got) {
    return std::unexpected(std::move(got.error()));
  }
  return value;
}

}  // namespace vmm::kvm
