// The generic timer's virtual counter and comparator. Arm DDI 0487, "The Generic Timer in AArch64 state".
#pragma once

#include <cstdint>

#include "guest/kernel/timer.hpp"

namespace guest::arch {

/// Nanoseconds since reset; 0 when the counter's frequency is not known. From any context.
std::uint64_t clock_now_ns();

/// This CPU's virtual timer.
class VirtualTimer final : public kernel::DeadlineTimer {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return clock_now_ns(); }
  [[nodiscard]] std::uint64_t resolution_ns() const override;
  void set_deadline(std::uint64_t deadline_ns) override;
};
VirtualTimer& virtual_timer();

/// Reads the frequency. `frequency_hz` overrides CNTFRQ_EL0 (device tree "clock-frequency") when not 0. False: neither
/// is usable.
bool init_clock(std::uint32_t frequency_hz);
/// The counter's frequency; 0 before init_clock().
std::uint64_t clock_frequency_hz();

}  // namespace guest::arch
