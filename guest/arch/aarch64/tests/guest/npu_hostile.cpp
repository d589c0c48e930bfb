// A hostile driver of the NPU beside a kernel that works: an image of its own, run by tests/integration/
// test_npu_hostile.py. The first CPU has the control server, as ever; the second one attacks the device, round after
// round, each with its number as seed, until the machine ends. After each:
//
//   HOSTILE round=1 offered=N answered=N ok=N refused=N control=N broken=N resets=N wrong=0
#include <array>
#include <cstring>

#include "abi/control.hpp"
#include "boot_audit.hpp"
#include "boot_config_step.hpp"
#include "boot_control.hpp"
#include "boot_models.hpp"
#include "boot_operators.hpp"
#include "boot_virtio.hpp"
#include "boot_watchdog.hpp"
#include "guest/drivers/direct_mmio.hpp"
#include "guest/drivers/virtio_mmio.hpp"
#include "hostile/vandal.hpp"
#include "start_all_cpus.hpp"

namespace guest {
namespace {

constinit kernel::MachineInfo machine;

constexpr unsigned kSteps = 3000;

/// Has the tag of the carrier (docs/npu-device.md, Discovery).
bool is_carrier(drivers::VirtioMmio& transport) {
  std::array<std::byte, 36> tag{};
  return transport.read_config(0, tag) == kernel::Status::Ok &&
         std::memcmp(tag.data(), abi::npu::kCarrierTag, sizeof(abi::npu::kCarrierTag)) == 0;
}

/// The NPU's registers; 0: there is none.
std::uintptr_t find_npu() {
  for (const kernel::VirtioSlot& slot : machine.virtio) {
    arch::MapStatus status{};
    std::byte* const base = arch::map_device(slot.registers.begin(), slot.registers.size, status);
    kernel::require(base != nullptr, "a virtio slot cannot be mapped");
    const auto address = reinterpret_cast<std::uintptr_t>(base);  // a mapped device window
    drivers::DirectMmio registers(address);
    drivers::VirtioMmio transport(registers);
    const drivers::VirtioProbe probe = drivers::probe_virtio_mmio(registers);
    if (probe.kind == drivers::VirtioProbe::Kind::Device &&
        (probe.device == abi::virtio::DeviceId::Npu ||
         (probe.device == abi::virtio::DeviceId::Fs && is_carrier(transport)))) {
      return address;
    }
  }
  return 0;
}

void attack(void*) {
  const std::uintptr_t base = find_npu();
  kernel::require(base != 0, "there is no NPU");
  drivers::DirectMmio registers(base);
  drivers::VirtioMmio transport(registers);
  drivers::PageDma dma(kernel::kernel_pages());
  const auto memory = dma.allocate(hostile::Arena::kBytes);
  kernel::require(memory.has_value(), "no memory for the attack");
  hostile::Vandal vandal(transport, *memory);
  for (std::uint64_t round = 1;; ++round) {
    const hostile::Totals totals = vandal.run(round, kSteps);
    kernel::log_error(
        "HOSTILE round={} offered={} answered={} ok={} refused={} control={} broken={} resets={} wrong={}", round,
        totals.offered, totals.answered, totals.ok, totals.refused, totals.control, totals.broken, totals.resets,
        totals.wrong);
  }
}

void start_control(control::Services& services, const kernel::BootConfig& config) {
  drivers::VsockDevice* const vsock = make_vsock(find_virtio(machine));
  kernel::require(vsock != nullptr, "there is no vsock device");
  kernel::require(vsock->streams().listen(abi::control::kPort, start_control_server(services)),
                  "the control server's port is taken");
  drain_before_power_off(vsock->streams());
  kernel::require(start_vsock(*vsock, config), "the vsock device cannot be started");
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  start_all_cpus(machine);
  const kernel::BootConfig& config = read_configuration(machine);
  start_operators();
  start_control(start_services(machine, config, start_models(config.llm), start_audit().log, nullptr), config);
  start_watchdog();
  kernel::require(threads::spawn({.name = "attack", .cpu = 1}, attack, nullptr).has_value(), "no second CPU");
  idle();
}

}  // namespace guest
