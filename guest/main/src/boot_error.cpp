#include "boot_error.hpp"

#include "abi/console.hpp"
#include "abi/exit_code.hpp"
#include "guest/arch/panic_output.hpp"

namespace guest {

void refuse_boot(const kernel::NamedError& error) {
  kernel::log_error("BOOT CONFIG ERROR: {}: {}", error.name, error.detail.view());
  arch::exit_machine(abi::console::kKindBootConfig, static_cast<unsigned>(abi::ExitCode::BootConfig));
}

}  // namespace guest
