// What the panic path needs to be told beforehand.
#pragma once

#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::arch {

/// Where reports go: a polled writer that takes no lock. Without one a panic powers off in silence.
void set_panic_output(kernel::TextOutput& output);

/// kernel::panic() for a place that is not the caller's own, for assertions of libraries.
[[noreturn]] void panic_at_place(std::string_view reason, const char* file, unsigned line, const char* function);

/// Writes the exit record (abi/console.hpp) and powers off, or resets for kind "reboot".
[[noreturn]] void exit_machine(const char* kind, unsigned code);

}  // namespace guest::arch
