// What a hypervisor says of the time that it stole from a CPU.
#pragma once

#include <atomic>
#include <cstdint>

namespace guest::arch {

/// Nanoseconds stolen from this CPU, in memory that the hypervisor writes, for ever. Null: nobody tells, or something
/// is told that this kernel does not know, which is logged. On each CPU once, on the boot CPU first, when PSCI's
/// conduit is known and memory is up.
const std::atomic<std::uint64_t>* find_stolen_time_here();

}  // namespace guest::arch
