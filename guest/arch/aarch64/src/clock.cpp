#include "guest/arch/clock.hpp"

#include "guest/arch/cpu.hpp"

namespace guest::arch {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kMinFrequencyHz = 1'000'000;
constexpr std::uint64_t kMaxFrequencyHz = 4'000'000'000;

/// ns = ticks * ns_per_tick / 2^50, ticks = ns * ticks_per_ns / 2^56: no division when time is read. Exact for 62.5 MHz
/// and 1 GHz; else the error is below 1e-12, a microsecond in ten days.
constexpr unsigned kNsShift = 50;
constexpr unsigned kTickShift = 56;
struct Scale {
  std::uint64_t ns_per_tick = 0;
  std::uint64_t ticks_per_ns = 0;
  std::uint64_t frequency_hz = 0;
};
constinit Scale scale;

using Wide = unsigned __int128;

}  // namespace

std::uint64_t clock_frequency_hz() { return scale.frequency_hz; }

bool init_clock(std::uint32_t frequency_hz) {
  const std::uint64_t frequency = frequency_hz != 0 ? frequency_hz : sysreg::CntfrqEl0::read();
  if (frequency < kMinFrequencyHz || frequency > kMaxFrequencyHz) {
    return false;
  }
  scale = {.ns_per_tick = static_cast<std::uint64_t>((Wide{kNsPerSecond} << kNsShift) / frequency),
           .ticks_per_ns = static_cast<std::uint64_t>((Wide{frequency} << kTickShift) / kNsPerSecond),
           .frequency_hz = frequency};
  return true;
}

std::uint64_t clock_now_ns() { return static_cast<std::uint64_t>((Wide{counter()} * scale.ns_per_tick) >> kNsShift); }

std::uint64_t VirtualTimer::resolution_ns() const {
  return (kNsPerSecond + scale.frequency_hz - 1) / scale.frequency_hz;
}

void VirtualTimer::set_deadline(std::uint64_t deadline_ns) {
  if (deadline_ns == kernel::kNoDeadline) {
    sysreg::CntvCtlEl0::write(0);
    isb();
    return;
  }
  // Rounded up: an interrupt before the deadline would find nothing due and be taken again.
  sysreg::CntvCvalEl0::write(static_cast<std::uint64_t>((Wide{deadline_ns} * scale.ticks_per_ns) >> kTickShift) + 1);
  sysreg::CntvCtlEl0::write(cnt_ctl_el0::Enable::encode(true));
  isb();
}

VirtualTimer& virtual_timer() {
  static constinit VirtualTimer timer;
  return timer;
}

}  // namespace guest::arch
