#include "boot_console.hpp"

#include <optional>

#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/drivers/direct_mmio.hpp"
#include "guest/drivers/ns16550a.hpp"
#include "guest/drivers/pl011.hpp"
#include "guest/kernel/log.hpp"

namespace guest {
namespace {

constinit std::optional<drivers::DirectMmio> registers;
constinit std::optional<drivers::Pl011> pl011;
constinit std::optional<drivers::Ns16550a> ns16550a;

drivers::Uart* make_driver(const kernel::ConsoleInfo& info) {
  switch (info.kind) {
    case kernel::ConsoleKind::None:
      return nullptr;
    case kernel::ConsoleKind::Pl011:
      return &pl011.emplace(*registers);
    case kernel::ConsoleKind::Ns16550:
      return &ns16550a.emplace(*registers, drivers::Ns16550a::Layout{.reg_shift = info.register_shift,
                                                                     .io_width_bytes = info.register_width_bytes});
  }
  return nullptr;
}

}  // namespace

drivers::Uart* start_console(const kernel::ConsoleInfo& info) {
  if (info.kind == kernel::ConsoleKind::None) {
    return nullptr;
  }
  arch::MapStatus status{};
  std::byte* const base = arch::map_device(info.registers.begin(), info.registers.size, status);
  if (base == nullptr) {
    return nullptr;
  }
  registers.emplace(reinterpret_cast<std::uintptr_t>(base));  // a mapped device window
  drivers::Uart* const uart = make_driver(info);
  uart->init();
  arch::set_panic_output(*uart);
  kernel::log().set_output(*uart);
  kernel::log().error("UART: READY");
  return uart;
}

}  // namespace guest
