// The clock of the trace, read in the way of every event: without a virtual call.
#pragma once

#include <cstdint>

#include "guest/kernel/hardware_timer.hpp"

namespace guest::kernel {

/// The kernel has one clock, which is final.
inline std::uint64_t trace_now_ns(const Clock& clock) { return static_cast<const HardwareTimer&>(clock).now_ns(); }

}  // namespace guest::kernel
