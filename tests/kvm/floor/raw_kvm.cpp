// The least that a program can do to run a guest on ARM64 KVM: what sisvmm is measured against.
//
// usage: raw_kvm IMAGE [2|3]
//
// Makes a machine of 256 MiB at 0x40000000 with one CPU and an interrupt controller (vGIC of the given version, default
// 3), loads IMAGE at the start of its memory and runs it until the guest powers off by PSCI. Bytes that the guest
// writes to the PL011's data register go to standard output; everything else reads as zero and takes writes. Exit code
// 0 when the guest has powered off, 1 for anything else. Nothing here is tuned, checked or freed beyond what that
// takes.
//
// Sources: Linux Documentation/virt/kvm/api.rst and Documentation/virt/kvm/devices/arm-vgic{,-v3}.rst.
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

// The address map of QEMU's `virt` machine.
constexpr std::uint64_t kRam = 0x40000000;
constexpr std::size_t kRamSize = 256U << 20;
constexpr std::uint64_t kDistributor = 0x08000000;
constexpr std::uint64_t kCpuInterface = 0x08010000;
constexpr std::uint64_t kRedistributor = 0x080A0000;
constexpr std::uint64_t kUartData = 0x09000000;
constexpr std::uint64_t kProgramCounter =
    KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc);

int must(int result, const char* what) {
  if (result < 0) {
    std::perror(what);
    std::exit(1);
  }
  return result;
}

// Linux takes the argument as an address or as a number, by request.
template <typename T>
int request(int fd, unsigned long code, T argument, const char* what) {
  return must(ioctl(fd, code, argument), what);
}

void set_attribute(int device, std::uint32_t group, std::uint64_t attribute, const std::uint64_t* value) {
  kvm_device_attr request_attr{};
  request_attr.group = group;
  request_attr.attr = attribute;
  request_attr.addr = reinterpret_cast<std::uint64_t>(value);  // the kernel reads the value there
  request(device, KVM_SET_DEVICE_ATTR, &request_attr, "KVM_SET_DEVICE_ATTR");
}

void* load(int vm, const char* path) {
  void* const ram = mmap(nullptr, kRamSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  must(ram == MAP_FAILED ? -1 : 0, "mmap");
  const int file = must(open(path, O_RDONLY | O_CLOEXEC), path);
  must(static_cast<int>(read(file, ram, kRamSize)), path);
  close(file);
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = kRam;
  region.memory_size = kRamSize;
  region.userspace_addr = reinterpret_cast<std::uint64_t>(ram);
  request(vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
  return ram;
}

int make_vcpu(int vm) {
  const int vcpu = request(vm, KVM_CREATE_VCPU, 0, "KVM_CREATE_VCPU");
  kvm_vcpu_init init{};
  request(vm, KVM_ARM_PREFERRED_TARGET, &init, "KVM_ARM_PREFERRED_TARGET");
  init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
  request(vcpu, KVM_ARM_VCPU_INIT, &init, "KVM_ARM_VCPU_INIT");
  kvm_one_reg start{};
  start.id = kProgramCounter;
  start.addr = reinterpret_cast<std::uint64_t>(&kRam);
  request(vcpu, KVM_SET_ONE_REG, &start, "KVM_SET_ONE_REG");
  return vcpu;
}

void make_gic(int vm, bool v3) {
  kvm_create_device device{};
  device.type = v3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2;
  request(vm, KVM_CREATE_DEVICE, &device, "KVM_CREATE_DEVICE");
  const int gic = static_cast<int>(device.fd);
  if (v3) {
    set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &kDistributor);
    set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &kRedistributor);
  } else {
    set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST, &kDistributor);
    set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU, &kCpuInterface);
  }
  set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, nullptr);
}

void access(kvm_run& run) {
  if (run.mmio.is_write == 0) {
    std::memset(run.mmio.data, 0, sizeof(run.mmio.data));
  } else if (run.mmio.phys_addr == kUartData) {
    must(static_cast<int>(write(STDOUT_FILENO, run.mmio.data, 1)), "write");
  }
}

int execute(int vcpu, kvm_run& run) {
  while (true) {
    request(vcpu, KVM_RUN, 0, "KVM_RUN");
    if (run.exit_reason == KVM_EXIT_MMIO) {
      access(run);
    } else if (run.exit_reason == KVM_EXIT_SYSTEM_EVENT && run.system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN) {
      return 0;
    } else {
      std::fprintf(stderr, "raw_kvm: exit reason %u\n", run.exit_reason);
      return 1;
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fputs("usage: raw_kvm IMAGE [2|3]\n", stderr);
    return 1;
  }
  const int kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  const int vm = request(kvm, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
  load(vm, arguments[1]);
  const int vcpu = make_vcpu(vm);
  make_gic(vm, count < 3 || std::strcmp(arguments[2], "2") != 0);
  const int size = request(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE");
  void* const run = mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  must(run == MAP_FAILED ? -1 : 0, "mmap of the vCPU");
  return execute(vcpu, *static_cast<kvm_run*>(run));
}
