// The end of the line: a report, the exit record, power off. Declared here so that portable code can use it; the
// guest's implementation is in guest/arch, the host's (for tests) prints and aborts.
#pragma once

#include <cstddef>
#include <source_location>
#include <string_view>

namespace guest::kernel {

/// Reports `reason` with the caller's place, registers and backtrace, then powers the machine off with exit kind
/// "panic". Works from any context, interrupts on or off; takes no lock and allocates nothing.
[[noreturn]] void panic(std::string_view reason, std::source_location where = std::source_location::current());

/// Panics unless `condition` holds. Always on, in release builds too: for what the caller must guarantee.
/// `what` is a literal, so that what holds costs no more than the comparison.
template <std::size_t Size>
inline void require(bool condition, const char (&what)[Size],
                    std::source_location where = std::source_location::current()) {
  if (!condition) [[unlikely]] {
    panic({&what[0], Size - 1}, where);
  }
}

}  // namespace guest::kernel
