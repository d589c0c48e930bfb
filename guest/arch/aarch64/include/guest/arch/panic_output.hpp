// What the panic path needs to be told beforehand.
#pragma once

#include "guest/kernel/log.hpp"

namespace guest::arch {

/// Where reports go: a polled writer that takes no lock. Without one a panic powers off in silence.
void set_panic_output(kernel::TextOutput& output);

/// Writes the exit record (abi/console.hpp) and powers off, or resets for kind "reboot".
[[noreturn]] void exit_machine(const char* kind, unsigned code);

}  // namespace guest::arch
