// The generic timer's virtual counter and comparator. Arm DDI 0487, "The Generic Timer in AArch64 state". Read at each
// switch of threads, so it is inline.
#pragma once

#include <cstdint>
#include <limits>

#include "guest/kernel/clock.hpp"

namespace guest::kernel {

/// ns = ticks * ns_per_tick / 2^50, ticks = ns * ticks_per_ns / 2^56: no division when time is read. Exact for 62.5 MHz
/// and 1 GHz; else the error is below 1e-12, a microsecond in ten days.
struct ClockScale {
  static constexpr unsigned kNsShift = 50;
  static constexpr unsigned kTickShift = 56;
  std::uint64_t ns_per_tick = 0;
  std::uint64_t ticks_per_ns = 0;
  std::uint64_t frequency_hz = 0;
};
/// All zero, so that the time is 0, until guest_arch knows the counter's frequency; then for ever the same.
extern constinit ClockScale clock_scale;

/// This CPU's: all CPUs have the same clock, each its own comparator.
class HardwareTimer final : public Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((Wide{tick_count()} * clock_scale.ns_per_tick) >> ClockScale::kNsShift);
  }
  [[nodiscard]] std::uint64_t resolution_ns() const override;

  /// Later than any: 292 years. The scheduler's word for never, too, which has a sign.
  static constexpr std::uint64_t kNoDeadline = std::numeric_limits<std::int64_t>::max();
  /// Asks for an interrupt at `deadline_ns` of now_ns(), at once when that has passed; kNoDeadline: none. Replaces the
  /// earlier request. Interrupts masked.
  void set_deadline(std::uint64_t deadline_ns) {
    if (deadline_ns >= kNoDeadline) {
      asm volatile("msr cntv_ctl_el0, xzr\n\tisb" : : : "memory");
      return;
    }
    // Rounded up: an interrupt before the deadline would find nothing due and be taken again.
    __extension__ using Wide = unsigned __int128;
    const auto ticks =
        static_cast<std::uint64_t>((Wide{deadline_ns} * clock_scale.ticks_per_ns) >> ClockScale::kTickShift) + 1;
    constexpr std::uint64_t kEnable = 1;  // CNTV_CTL_EL0.ENABLE, and IMASK 0
    asm volatile("msr cntv_cval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\tisb" : : "r"(ticks), "r"(kEnable) : "memory");
  }
};

}  // namespace guest::kernel
