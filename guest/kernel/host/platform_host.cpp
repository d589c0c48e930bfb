// What the hardware gives the portable kernel, for host builds (unit tests, fuzzers).
#include <cstdio>
#include <cstdlib>

#include "guest/kernel/critical.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::kernel {

InterruptState mask_interrupts() { return {}; }
void restore_interrupts(InterruptState) {}

void panic(std::string_view reason, std::source_location where) {
  std::fprintf(stderr, "kernel panic: %.*s at %s:%u\n", static_cast<int>(reason.size()), reason.data(),
               where.file_name(), static_cast<unsigned>(where.line()));
  std::abort();
}

}  // namespace guest::kernel
