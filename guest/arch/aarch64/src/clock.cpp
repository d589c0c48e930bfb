#include "guest/arch/clock.hpp"

#include "guest/arch/cpu.hpp"

namespace guest::arch {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kMinFrequencyHz = 1'000'000;
constexpr std::uint64_t kMaxFrequencyHz = 4'000'000'000;

using Wide = unsigned __int128;

}  // namespace

std::uint64_t clock_frequency_hz() { return kernel::clock_scale.frequency_hz; }

bool init_clock(std::uint32_t frequency_hz) {
  const std::uint64_t frequency = frequency_hz != 0 ? frequency_hz : sysreg::CntfrqEl0::read();
  if (frequency < kMinFrequencyHz || frequency > kMaxFrequencyHz) {
    return false;
  }
  kernel::clock_scale = {
      .ns_per_tick = static_cast<std::uint64_t>((Wide{kNsPerSecond} << kernel::ClockScale::kNsShift) / frequency),
      .ticks_per_ns = static_cast<std::uint64_t>((Wide{frequency} << kernel::ClockScale::kTickShift) / kNsPerSecond),
      .frequency_hz = frequency};
  return true;
}

kernel::HardwareTimer& virtual_timer() {
  static constinit kernel::HardwareTimer timer;
  return timer;
}

}  // namespace guest::arch

namespace guest::kernel {

constinit ClockScale clock_scale;

std::uint64_t HardwareTimer::resolution_ns() const {
  return (arch::kNsPerSecond + clock_scale.frequency_hz - 1) / clock_scale.frequency_hz;
}

}  // namespace guest::kernel
