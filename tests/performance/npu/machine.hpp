// What this machine can do at best: how fast it reads memory, and what its multipliers give. The yardsticks of the
// kernels, measured by the shortest loops that reach them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace npu_bench {

/// A loop that keeps the multipliers of one core busy and touches no memory.
struct Peak {
  const char* instruction = nullptr;        ///< null: this processor has none that we know
  double operations = 0;                    ///< of a pass; a multiplication and its addition are two
  void (*passes)(std::uint64_t) = nullptr;  ///< runs so many
};
/// Fused multiply-add of f32.
Peak f32_peak();
/// Products of 8-bit integers, summed in i32.
Peak i8_peak();

/// Reads all of some memory, with the widest loads that the processor has.
struct Reader {
  const char* instruction;
  void (*read)(std::span<const std::byte>);  ///< of a multiple of `step` bytes, aligned to a cache line
  std::size_t step;
};
Reader reader();

/// Runs `work(0)` to `work(threads - 1)` at once, each on a thread of its own.
/// @return nanoseconds from when they began together until the last has ended
std::uint64_t run_together(unsigned threads, const std::function<void(unsigned)>& work);

/// The least step of the clock, in nanoseconds.
std::uint64_t clock_resolution_ns();

}  // namespace npu_bench
