#include "vmm/hypervisor/kvm/kvm.hpp"

#include <fcntl.h>
#include <linux/kvm.h>

#include <algorithm>
#include <string>

#include "ioctl.hpp"
#include "vmm/hypervisor/kvm/vm.hpp"

namespace vmm::kvm {
namespace {

using abi::ExitCode;

constexpr char kPath[] = "/dev/kvm";
/// KVM_VM_TYPE_ARM_IPA_SIZE takes no less.
constexpr unsigned kLeastAddressBits = 32;

std::unexpected<Error> cannot_open(int error) {
  if (error == EACCES || error == EPERM) {
    return fail("no permission for /dev/kvm: add the user to its group (usually `kvm`)", ExitCode::HostLacks);
  }
  if (error == ENOENT || error == ENODEV || error == ENXIO) {
    return fail(
        "there is no /dev/kvm: the kernel has no KVM, or it was not started at EL2, as in a virtual machine "
        "without nested virtualisation",
        ExitCode::HostLacks);
  }
  return fail_errno("cannot open /dev/kvm", error, ExitCode::HostLacks);
}

}  // namespace

Result<Kvm> Kvm::open() {
  UniqueFd fd(::open(kPath, O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return cannot_open(errno);
  Kvm kvm(std::move(fd));
  if (auto examined = kvm.examine(); !examined) return std::unexpected(std::move(examined.error()));
  return kvm;
}

int Kvm::extension(unsigned long number) const {
  return call(fd_, KVM_REQUEST(KVM_CHECK_EXTENSION), number).value_or(0);
}

Result<> Kvm::examine() {
  const auto version = call(fd_, KVM_REQUEST(KVM_GET_API_VERSION));
  if (!version) return std::unexpected(version.error());
  if (*version != KVM_API_VERSION) {
    return fail("/dev/kvm speaks version " + std::to_string(*version) + " of its interface, expected " +
                    std::to_string(KVM_API_VERSION),
                ExitCode::HostLacks);
  }
  // The youngest of what every machine needs (Linux 4.13). Whatever else it needs, KVM for ARM64 has always had by
  // then: KVM_CAP_USER_MEMORY, _IRQFD, _IOEVENTFD, _ONE_REG, _DEVICE_CTRL and _ARM_PSCI_0_2 need no questions of their
  // own.
  if (extension(KVM_CAP_IMMEDIATE_EXIT) == 0) {
    return fail("this host's KVM has no KVM_CAP_IMMEDIATE_EXIT", ExitCode::HostLacks);
  }
  const auto run_bytes = call(fd_, KVM_REQUEST(KVM_GET_VCPU_MMAP_SIZE));
  if (!run_bytes) return std::unexpected(run_bytes.error());
  run_bytes_ = static_cast<std::size_t>(*run_bytes);
  if (run_bytes_ < sizeof(kvm_run)) return fail("KVM_GET_VCPU_MMAP_SIZE is too small for struct kvm_run");

  features_.max_cpus = static_cast<unsigned>(std::max(extension(KVM_CAP_MAX_VCPUS), 1));
  if (const int bits = extension(KVM_CAP_ARM_VM_IPA_SIZE); bits > 0) {
    features_.address_bits = static_cast<unsigned>(bits);
    sized_ = true;
  }
  features_.pmu = extension(KVM_CAP_ARM_PMU_V3) > 0;
  features_.pointer_authentication =
      extension(KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0 && extension(KVM_CAP_ARM_PTRAUTH_GENERIC) > 0;
  asm("mrs %0, cntfrq_el0" : "=r"(features_.counter_hz));
  features_.stolen_time = extension(KVM_CAP_STEAL_TIME) > 0;
  features_.report_undecodable = extension(KVM_CAP_ARM_NISV_TO_USER) > 0 && extension(KVM_CAP_ARM_INJECT_EXT_DABT) > 0;
  return {};
}

Result<Vm> Kvm::create_vm(unsigned address_bits) const {
  address_bits = std::max(address_bits, kLeastAddressBits);
  if (address_bits > features_.address_bits) {
    return fail("the machine needs guest addresses of " + std::to_string(address_bits) + " bits, this host has " +
                    std::to_string(features_.address_bits) + ": give it less memory",
                ExitCode::HostLacks);
  }
  // Hosts without KVM_CAP_ARM_VM_IPA_SIZE have 40 bits, which is called 0.
  auto fd = descriptor(
      call(fd_, KVM_REQUEST(KVM_CREATE_VM), sized_ ? KVM_VM_TYPE_ARM_IPA_SIZE(std::uint64_t{address_bits}) : 0));
  if (!fd) return std::unexpected(std::move(fd.error()).because_of("cannot create a virtual machine"));
  return Vm(std::move(*fd), run_bytes_);
}

std::vector<std::string> missing_on_host() {
  const auto kvm = Kvm::open();
  if (!kvm) return {kvm.error().message};
  const auto vm = kvm->create_vm(0);
  if (!vm) return {vm.error().message};
  if (!vm->supports(DeviceType::GicV3) && !vm->supports(DeviceType::GicV2)) {
    return {"this host's KVM emulates neither GICv3 nor GICv2"};
  }
  return {};
}

}  // namespace vmm::kvm
