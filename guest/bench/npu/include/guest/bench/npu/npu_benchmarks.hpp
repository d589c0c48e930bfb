// Benchmarks of what a job costs besides its commands.
#pragma once

#include <span>

#include "guest/bench/benchmark.hpp"

namespace guest::bench {

/// Round trips to what runs jobs: the device, or the CPU in a machine without one.
std::span<const Benchmark> npu_benchmarks();

}  // namespace guest::bench
