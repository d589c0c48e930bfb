#include "boot_npu.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "abi/npu.hpp"
#include "guest/drivers/direct_mmio.hpp"
#include "guest/drivers/dma.hpp"
#include "guest/drivers/virtio_mmio.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "guest/npu/device/device_accelerator.hpp"
#include "guest/npu/metrics.hpp"
#include "npu/simd/kernels.hpp"

namespace guest {
namespace {

/// What the driver stands on, in the order in which it is made.
struct Device {
  Device(std::uintptr_t base, kernel::PageAllocator& pages)
      : registers(base), transport(registers), dma(pages), accelerator(transport, dma, pages.map()) {}
  drivers::DirectMmio registers;
  drivers::VirtioMmio transport;
  drivers::PageDma dma;
  npu::DeviceAccelerator accelerator;
};
constinit std::optional<npu::CpuAccelerator> cpu;
constinit std::optional<Device> device;

/// VIRTIO 1.2, File System Device, Device configuration layout: the tag, at the beginning.
bool has_carrier_tag(const VirtioFound& slot) {
  drivers::DirectMmio registers(slot.registers);
  drivers::VirtioMmio transport(registers);
  std::array<char, sizeof(abi::npu::kCarrierTag)> tag{};  // with the NUL behind it
  return transport.read_config(0, std::as_writable_bytes(std::span(tag))) == kernel::Status::Ok &&
         std::ranges::equal(tag, abi::npu::kCarrierTag);
}

bool is_npu(const VirtioFound& slot) {
  return slot.device == abi::virtio::DeviceId::Npu ||
         (slot.device == abi::virtio::DeviceId::Fs && has_carrier_tag(slot));
}

void watch(void* accelerator) { static_cast<npu::DeviceAccelerator*>(accelerator)->watch(); }

bool start_device(const VirtioFound& slot) {
  device.emplace(slot.registers, kernel::kernel_pages());
  npu::DeviceAccelerator& accelerator = device->accelerator;
  const bool attached = kernel::interrupts().attach(slot.interrupt.id, slot.interrupt.trigger, "npu",
                                                    npu::DeviceAccelerator::interrupt_thunk, &accelerator);
  kernel::require(attached, "the NPU's interrupt cannot be attached");
  if (const kernel::Outcome started = accelerator.start(); !started) {
    kernel::log_error("npu: the device cannot be used: {}; the CPU runs the jobs", started.error().detail.view());
    return false;
  }
  const auto watcher = threads::spawn({.name = "npu", .cpu = kernel::cpu_index()}, watch, &accelerator);
  kernel::require(watcher.has_value(), "no memory for the thread that watches the NPU");
  const npu::Info& info = accelerator.info();
  kernel::log_info("npu: device, {} jobs in flight, {} regions, {} MHz", info.max_jobs, info.max_regions,
                   info.clock_hz / 1'000'000);
  return true;
}

}  // namespace

void start_npu(const VirtioDevices& devices) {
  npu::metrics().register_all(kernel::counters());
  const auto slot = std::ranges::find_if(devices, is_npu);
  if (slot != devices.end() && start_device(*slot)) {
    npu::set_npu(device->accelerator);
  } else {
    npu::set_npu(cpu.emplace(::npu::simd_kernels()));
  }
}

}  // namespace guest
