// The generic timer's virtual counter and comparator. Arm DDI 0487, "The Generic Timer in AArch64 state".
#pragma once

#include <cstdint>

#include "guest/kernel/timer.hpp"

namespace guest::arch {

/// This CPU's virtual timer.
kernel::HardwareTimer& virtual_timer();
/// Nanoseconds since reset; 0 when the counter's frequency is not known. From any context.
inline std::uint64_t clock_now_ns() { return virtual_timer().now_ns(); }

/// Reads the frequency. `frequency_hz` overrides CNTFRQ_EL0 (device tree "clock-frequency") when not 0. False: neither
/// is usable.
bool init_clock(std::uint32_t frequency_hz);
/// The counter's frequency; 0 before init_clock().
std::uint64_t clock_frequency_hz();

}  // namespace guest::arch
