// The shell on the console.
#pragma once

#include "guest/control/services.hpp"
#include "guest/drivers/uart.hpp"
#include "guest/kernel/machine_info.hpp"

namespace guest {

/// Starts the shell: prompt and input on `console`, which may be null, and lines of control requests. Last step of the
/// boot.
void start_shell(control::Services& services, const kernel::ConsoleInfo& info, drivers::Uart* console);

}  // namespace guest
