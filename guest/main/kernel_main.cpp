// The kernel's main function: brings the machine up part by part, then runs deferred work for ever.
#include <libfdt.h>

#include <optional>

#include "guest/arch/clock.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/arch/panic_output.hpp"
#include "guest/drivers/direct_mmio.hpp"
#include "guest/drivers/pl011.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/panic.hpp"

namespace guest {
namespace {

constinit std::optional<drivers::DirectMmio> console_registers;
constinit std::optional<drivers::Pl011> console;

void start_console() {
  const void* const tree = arch::dtb().data();
  const int node = fdt_path_offset(tree, "/pl011@9000000");
  if (node < 0) return;
  arch::MapStatus status{};
  std::byte* const base = arch::map_device(0x9000000, 4096, status);
  console_registers.emplace(reinterpret_cast<std::uintptr_t>(base));
  console.emplace(*console_registers);
  console->init();
  arch::set_panic_output(*console);
  kernel::log().set_output(*console);
  kernel::log().error("UART: READY");
}

}  // namespace

extern "C" [[noreturn]] void kernel_main() {
  arch::init_clock(0);
  start_console();
  kernel::panic("end of kernel_main");
}

}  // namespace guest
