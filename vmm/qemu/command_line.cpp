#include "vmm/qemu/command_line.hpp"

#include <unistd.h>

#include <cstdlib>

#include "abi/npu.hpp"

namespace vmm::qemu {
namespace {

/// The CPU model when the scenario names none: the host's own under a hypervisor; under TCG one with LSE atomics, and
/// without the features of `max` that are slow to emulate (pointer authentication).
std::string default_cpu(const std::string& accel) { return accel == "tcg" ? "cortex-a76" : "host"; }

std::string socket_chardev(const char* id, int fd) {
  return std::string("socket,id=") + id + ",fd=" + std::to_string(fd);
}

}  // namespace

std::string program_name() {
  const char* const given = std::getenv("SIS_QEMU");
  return given != nullptr && given[0] != '\0' ? given : "qemu-system-aarch64";
}

std::string accelerator(scenario::Accel wanted) {
  switch (wanted) {
    case scenario::Accel::Tcg:
      return "tcg";
    case scenario::Accel::Kvm:
      return "kvm";
    case scenario::Accel::Hvf:
      return "hvf";
    case scenario::Accel::Auto:
      break;
  }
#if defined(__linux__) && defined(__aarch64__)
  if (::access("/dev/kvm", R_OK | W_OK) == 0) return "kvm";
#elif defined(__APPLE__) && defined(__aarch64__)
  return "hvf";
#endif
  return "tcg";
}

const char* shared_memory_object() {
#ifdef __APPLE__
  return "memory-backend-shm";  // QEMU 9.1 or later; has not been run on a Mac
#else
  return "memory-backend-memfd";
#endif
}

std::vector<std::string> command_line(const machine::MachineConfig& config, const std::string& accel,
                                      const InheritedSockets& sockets) {
  const scenario::Machine& machine = config.machine;
  const std::string memory = std::to_string(machine.memory_bytes);
  std::vector<std::string> line{
      program_name(),
      // Nothing that we did not ask for: no configuration files, no default devices, no window.
      "-no-user-config",
      "-nodefaults",
      "-display",
      "none",
      "-name",
      "sis-" + config.name,
      "-machine",
      "virt,memory-backend=mem,gic-version=" + std::to_string(machine.gic_version),
      "-accel",
      accel,
      "-cpu",
      machine.cpu.empty() ? default_cpu(accel) : machine.cpu,
      "-smp",
      std::to_string(machine.cpus),
      "-m",
      memory + "B",
      // share=on: the vsock device in our process works on the guest's memory in place.
      "-object",
      std::string(shared_memory_object()) + ",id=mem,share=on,size=" + memory +
          (machine.huge_pages ? ",hugetlb=on,hugetlbsize=2M" : ""),
      // Version 1 of virtio; the mmio transport of QEMU offers the legacy one by default.
      "-global",
      "virtio-mmio.force-legacy=false",
      "-chardev",
      socket_chardev("console", sockets.console),
      "-serial",
      "chardev:console",
      "-chardev",
      socket_chardev("qmp", sockets.qmp),
      "-mon",
      "chardev=qmp,mode=control",
      "-chardev",
      socket_chardev("vsock", sockets.vsock),
      "-device",
      "vhost-user-vsock-device,chardev=vsock",
      "-kernel",
      config.kernel.string(),
      "-initrd",
      config.boot_archive.string(),
  };
  if (config.npu) {
    // Two queues, one of them for "requests"; the tag says what they are (vmm/devices/vhost_user_npu).
    line.insert(line.end(), {"-chardev", socket_chardev("npu", sockets.npu), "-device",
                             std::string("vhost-user-fs-device,chardev=npu,num-request-queues=1,queue-size=256,tag=") +
                                 abi::npu::kCarrierTag});
  }
  if (machine.icount_shift) {
    // sleep=off: an idle guest's time jumps to its next timer, so that time is the number of instructions.
    line.insert(line.end(), {"-icount", "shift=" + std::to_string(*machine.icount_shift) + ",sleep=off"});
  }
  return line;
}

std::vector<std::string> environment() {
  return {"GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.top_pad=16777216:glibc.malloc.arena_max=1"};
}

}  // namespace vmm::qemu
