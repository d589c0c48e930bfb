// Which CPU runs this, and what a CPU can do while it waits. guest_arch defines the functions; host/ does for tests.
#pragma once

#include <cstddef>
#include <cstdint>

namespace guest::threads {
class Dispatcher;
}

namespace guest::kernel {

class SpinLock;
class TimerQueue;

/// CPUs that the kernel uses at most; what is kept per CPU has room for so many.
inline constexpr std::uint32_t kMaxCpus = 8;

/// What one CPU writes and others should not be slowed by lies in cache lines of its own. 64 bytes on every core that
/// this runs on; a larger line costs speed, not correctness.
inline constexpr std::size_t kCacheLineBytes = 64;

/// Number of this CPU, below kMaxCpus; the boot CPU is 0. From any context. The answer holds while the caller cannot
/// move to another CPU: with interrupts masked, or in a handler.
std::uint32_t cpu_index();

/// What the kernel keeps of a CPU and needs with every lock and every switch of threads: together, so that it is one
/// load away. Only that CPU touches it, with interrupts masked; reports about a CPU that hangs read it nevertheless.
struct CpuData {
  std::uint32_t index;
  /// The lock that it took last and holds; the others hang on that (spin_lock.hpp).
  const SpinLock* innermost_lock = nullptr;
  /// Null until it has begun with threads.
  threads::Dispatcher* dispatcher = nullptr;
  /// Null until it has set up its clock.
  TimerQueue* timers = nullptr;
};
/// Of this CPU; holds as cpu_index() does.
CpuData& cpu_data();
/// Of any CPU below kMaxCpus.
CpuData& cpu_data(std::uint32_t cpu);

/// One turn of a loop that waits for another CPU.
void spin_pause();

/// A counter that never runs backwards, for short times; its unit is the platform's. From any context.
std::uint64_t tick_count();
/// Of tick_count(), in a second; 0 before the clock was set up.
std::uint64_t tick_frequency_hz();

}  // namespace guest::kernel

#include "guest/kernel/critical.hpp"  // the platform's definitions, where they are inline
