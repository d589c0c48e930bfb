// The shell on the console.
#pragma once

#include <string_view>

#include "guest/control/services.hpp"
#include "guest/drivers/uart.hpp"
#include "guest/kernel/machine_info.hpp"

namespace guest {

/// What is written here is shown on the console.
kernel::TextOutput& console_text();

/// Starts the shell: prompt and input on `console`, which may be null, and lines of control requests. `line` is run as
/// if typed; empty: none. Last step of the boot.
void start_shell(control::Services& services, const kernel::ConsoleInfo& info, drivers::Uart* console,
                 std::string_view line);

}  // namespace guest
