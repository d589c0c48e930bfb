// Which CPU runs this, and what a CPU can do while it waits. guest_arch defines the functions; host/ does for tests.
#pragma once

#include <cstddef>
#include <cstdint>

namespace guest::kernel {

/// CPUs that the kernel uses at most; what is kept per CPU has room for so many.
inline constexpr std::uint32_t kMaxCpus = 8;

/// What one CPU writes and others should not be slowed by lies in cache lines of its own. 64 bytes on every core that
/// this runs on; a larger line costs speed, not correctness.
inline constexpr std::size_t kCacheLineBytes = 64;

/// Number of this CPU, below kMaxCpus; the boot CPU is 0. From any context. The answer holds while the caller cannot
/// move to another CPU: with interrupts masked, or in a handler.
std::uint32_t cpu_index();

/// One turn of a loop that waits for another CPU.
void spin_pause();

/// A counter that never runs backwards, for short times; its unit is the platform's. From any context.
std::uint64_t tick_count();
/// Of tick_count(), in a second; 0 before the clock was set up.
std::uint64_t tick_frequency_hz();

}  // namespace guest::kernel

#include "guest/kernel/critical.hpp"  // the platform's definitions, where they are inline
