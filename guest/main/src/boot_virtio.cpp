#include "boot_virtio.hpp"

#include <optional>

#include "guest/arch/mmu.hpp"
#include "guest/drivers/direct_mmio.hpp"
#include "guest/drivers/dma.hpp"
#include "guest/drivers/receive_buffer.hpp"
#include "guest/drivers/stream_services.hpp"
#include "guest/drivers/virtio_mmio.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/work.hpp"

namespace guest {
namespace {

/// What the vsock driver stands on, in the order in which it is made.
struct Vsock {
  Vsock(std::uintptr_t base, kernel::PageAllocator& pages, kernel::Heap& heap)
      : registers(base),
        transport(registers),
        dma(pages),
        buffers(heap),
        device(transport, dma, buffers, kernel::work_queue(), {}) {}
  drivers::DirectMmio registers;
  drivers::VirtioMmio transport;
  drivers::PageDma dma;
  drivers::HeapBuffers buffers;
  drivers::VsockDevice device;
};
constinit std::optional<Vsock> vsock;
constinit std::optional<drivers::StreamServices> services;

/// Register windows are mapped once for neighbouring slots, so 32 of them cost four mappings.
std::optional<std::uintptr_t> map_slot(const kernel::VirtioSlot& slot) {
  arch::MapStatus status{};
  std::byte* const base = arch::map_device(slot.registers.begin(), slot.registers.size, status);
  if (base == nullptr) {
    kernel::log_error("virtio-mmio at {:#x} cannot be mapped (MapStatus {})", slot.registers.begin(),
                      static_cast<unsigned>(status));
    return std::nullopt;
  }
  return reinterpret_cast<std::uintptr_t>(base);  // a mapped device window
}

constinit VirtioDevices found;

}  // namespace

const VirtioDevices& find_virtio(const kernel::MachineInfo& info) {
  for (const kernel::VirtioSlot& slot : info.virtio) {
    const std::optional<std::uintptr_t> base = map_slot(slot);
    if (!base) {
      continue;
    }
    drivers::DirectMmio registers(*base);
    const drivers::VirtioProbe probe = drivers::probe_virtio_mmio(registers);
    if (probe.kind == drivers::VirtioProbe::Kind::Legacy) {
      kernel::log_info("virtio device {} at {:#x} has version {}, 2 is needed: ignored",
                       static_cast<std::uint32_t>(probe.device), slot.registers.begin(), probe.version);
    } else if (probe.kind == drivers::VirtioProbe::Kind::Device) {
      kernel::require(found.push_back({.device = probe.device, .registers = *base, .interrupt = slot.interrupt}),
                      "there are more virtio devices than slots");
    }
  }
  return found;
}

drivers::VsockDevice* make_vsock(const VirtioDevices& devices) {
  for (const VirtioFound& device : devices) {
    if (device.device == abi::virtio::DeviceId::Vsock) {
      vsock.emplace(device.registers, kernel::kernel_pages(), kernel::kernel_heap());
      vsock->device.register_counters(kernel::counters());
      const bool attached = kernel::interrupts().attach(device.interrupt.id, device.interrupt.trigger, "vsock",
                                                        drivers::VsockDevice::interrupt_thunk, &vsock->device);
      kernel::require(attached, "the vsock device's interrupt cannot be attached");
      return &vsock->device;
    }
  }
  return nullptr;
}

bool start_vsock(drivers::VsockDevice& device, const kernel::BootConfig& config) {
  if (config.test_services) {
    services.emplace();
    if (!services->listen(device.streams())) {
      kernel::log_error("vsock: the test services' ports are taken");
    }
  }
  const kernel::Status status = device.start();
  if (status != kernel::Status::Ok) {
    kernel::log_error("vsock: cannot be started: {}", status);
    return false;
  }
  kernel::log_info("vsock: guest address {}", device.guest_cid());
  return true;
}

}  // namespace guest
