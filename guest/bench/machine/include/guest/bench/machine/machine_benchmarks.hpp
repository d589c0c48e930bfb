// Benchmarks that need the hardware.
#pragma once

#include <span>

#include "guest/bench/benchmark.hpp"

namespace guest::bench {

/// Interrupts, timers, other CPUs.
std::span<const Benchmark> machine_benchmarks();

}  // namespace guest::bench
