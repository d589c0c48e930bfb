// The console of the device tree.
#pragma once

#include "guest/drivers/uart.hpp"
#include "guest/kernel/machine_info.hpp"

namespace guest {

/// Sets up the UART that `info` names and directs log and panic reports to it. Null: there is none that is supported;
/// the kernel runs on without (a control server needs no console).
drivers::Uart* start_console(const kernel::ConsoleInfo& info);

}  // namespace guest
