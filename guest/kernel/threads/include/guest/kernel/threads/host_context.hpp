// The platform of threads on the host, for tests: contexts are the C library's, and all CPUs run in one host thread,
// one at a time (host_cpu.hpp says which).
#pragma once

#include <cstdint>

namespace guest::threads {

/// What kick() calls.
void set_host_kick(void (*kick)(std::uint32_t cpu));
/// What spin() calls.
void set_host_spin(void (*spin)());

}  // namespace guest::threads
