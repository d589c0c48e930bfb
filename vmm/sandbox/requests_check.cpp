// requests.hpp against the kernel's headers.
#include "requests.hpp"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/kvm.h>

namespace vmm::sandbox::request {

static_assert(kRun == KVM_RUN);
static_assert(kIrqLine == KVM_IRQ_LINE);
static_assert(kSetVcpuEvents == KVM_SET_VCPU_EVENTS);
static_assert(kGetVcpuEvents == KVM_GET_VCPU_EVENTS);
static_assert(kCheckExtension == KVM_CHECK_EXTENSION);
static_assert(kCreateVm == KVM_CREATE_VM);
static_assert(kCreateVcpu == KVM_CREATE_VCPU);
static_assert(kSetUserMemoryRegion == KVM_SET_USER_MEMORY_REGION);
static_assert(kCreateDevice == KVM_CREATE_DEVICE);
static_assert(kIrqfd == KVM_IRQFD);
static_assert(kIoeventfd == KVM_IOEVENTFD);
static_assert(kEnableCap == KVM_ENABLE_CAP);
static_assert(kPreferredTarget == KVM_ARM_PREFERRED_TARGET);
static_assert(kVcpuInit == KVM_ARM_VCPU_INIT);
static_assert(kGetOneReg == KVM_GET_ONE_REG);
static_assert(kSetOneReg == KVM_SET_ONE_REG);
static_assert(kGetRegList == KVM_GET_REG_LIST);
static_assert(kGetMpState == KVM_GET_MP_STATE);
static_assert(kHasDeviceAttr == KVM_HAS_DEVICE_ATTR);
static_assert(kSetDeviceAttr == KVM_SET_DEVICE_ATTR);
static_assert(kGetDeviceAttr == KVM_GET_DEVICE_ATTR);
static_assert(kGetTerminal == TCGETS);
static_assert(kSetTerminal == TCSETS);
static_assert(kSetTerminalDrained == TCSETSW);

}  // namespace vmm::sandbox::request
