// What a CPU's performance monitors have counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"

namespace guest::kernel {

/// Events that are counted at a time, at most.
inline constexpr std::size_t kMaxPmuEvents = 16;

struct PmuCount {
  std::uint16_t event = 0;  ///< number
  std::string_view name;    ///< static storage
  std::uint64_t count = 0;  ///< since the CPU came online, modulo 2^PmuReading::counter_bits
  bool wrapped = false;     ///< it passed that at least once
};

struct PmuReading {
  std::string_view version = "none";  ///< static storage; "none": this CPU has no PMU, and everything below is zero
  std::uint32_t counters = 0;         ///< that the CPU has, beside the one of cycles
  std::uint32_t counter_bits = 0;     ///< of those; the one of cycles has 64
  std::uint64_t cycles = 0;           ///< since the CPU came online; a CPU that sleeps may not count
  BoundedArray<PmuCount, kMaxPmuEvents> events;
};

}  // namespace guest::kernel
