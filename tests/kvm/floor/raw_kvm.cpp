// The least that a program can do to run a guest on ARM64 KVM: what sisvmm is measured against.
//
// usage: raw_kvm IMAGE [2|3 [services]]
//
// Makes a machine of 256 MiB at 0x40000000 with one CPU and an interrupt controller (vGIC of the given version, default
// 3), loads IMAGE at the start of its memory and runs it until the guest powers off by PSCI. Bytes that the guest
// writes to the PL011's data register go to standard output; everything else reads as zero and takes writes. Exit code
// 0 when the guest has powered off, 1 for anything else. Nothing here is tuned, checked or freed beyond what that
// takes.
//
// With `services` the kernel does for each run of the guest what it does for sisvmm's: it keeps the guest's stolen time
// (Arm DEN0057) and its PMU, counts the users of a descriptor that several threads share, and puts each system call
// through a filter, set by a thread without capabilities. The program's own work stays the least.
//
// Sources: Linux Documentation/virt/kvm/api.rst, Documentation/virt/kvm/devices/arm-vgic{,-v3}.rst and vcpu.rst,
// Documentation/userspace-api/seccomp_filter.rst.
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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
/// 64 bytes that the guest does not use.
constexpr std::uint64_t kStolenTime = kRam + kRamSize - 64;
constexpr int kPmuInterrupt = 23;
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

void set_attribute(int device, std::uint32_t group, std::uint64_t attribute, const void* value) {
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

int make_vcpu(int vm, bool pmu) {
  const int vcpu = request(vm, KVM_CREATE_VCPU, 0, "KVM_CREATE_VCPU");
  kvm_vcpu_init init{};
  request(vm, KVM_ARM_PREFERRED_TARGET, &init, "KVM_ARM_PREFERRED_TARGET");
  init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
  if (pmu) init.features[0] |= 1U << KVM_ARM_VCPU_PMU_V3;
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

int wait_for_the_end(void*) {
  while (true) pause();
}

/// By clone(): a thread of the C library would add to what each start takes, also without services.
void make_thread() {
  alignas(16) static char stack[4096];
  constexpr int kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  must(clone(wait_for_the_end, stack + sizeof stack, kThread, nullptr), "clone");
}

/// Allows what this program does from here on, and nothing else.
void set_filter() {
  constexpr std::uint32_t kWord = BPF_LD | BPF_W | BPF_ABS;
  constexpr std::uint32_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
  const sock_filter filter[] = {
      BPF_STMT(kWord, offsetof(seccomp_data, arch)),
      BPF_JUMP(kEqual, AUDIT_ARCH_AARCH64, 0, 6),
      BPF_STMT(kWord, offsetof(seccomp_data, nr)),
      BPF_JUMP(kEqual, SYS_ioctl, 0, 2),
      BPF_STMT(kWord, offsetof(seccomp_data, args[1])),
      BPF_JUMP(kEqual, KVM_RUN, 3, 2),
      BPF_JUMP(kEqual, SYS_write, 2, 0),
      BPF_JUMP(kEqual, SYS_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  // The kernel wants a pointer to what it only reads.
  const sock_fprog program{.len = sizeof filter / sizeof filter[0], .filter = const_cast<sock_filter*>(filter)};
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  must(static_cast<int>(syscall(SYS_capset, &header, none)), "capset");
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
  must(static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)), "seccomp");
}

void add_services(int vcpu) {
  set_attribute(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &kPmuInterrupt);
  set_attribute(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, nullptr);
  set_attribute(vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &kStolenTime);
  make_thread();
  set_filter();
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
  const bool services = count == 4 && std::strcmp(arguments[3], "services") == 0;
  if (count < 2 || (count > 3 && !services)) {
    std::fputs("usage: raw_kvm IMAGE [2|3 [services]]\n", stderr);
    return 1;
  }
  const int kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  const int vm = request(kvm, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
  load(vm, arguments[1]);
  const int vcpu = make_vcpu(vm, services);
  make_gic(vm, count < 3 || std::strcmp(arguments[2], "2") != 0);
  const int size = request(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE");
  void* const run = mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  must(run == MAP_FAILED ? -1 : 0, "mmap of the vCPU");
  if (services) add_services(vcpu);
  return execute(vcpu, *static_cast<kvm_run*>(run));
}
