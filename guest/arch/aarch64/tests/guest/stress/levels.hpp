// What the machine has in use, to be compared before and after.
#pragma once

#include <cstdint>

namespace guest::stress {

struct Levels {
  std::uint64_t heap_blocks = 0;
  std::uint64_t heap_bytes = 0;
  std::uint64_t heap_failures = 0;
  std::uint64_t used_pages = 0;
  std::uint64_t threads = 0;    ///< that the kernel lists
  std::uint64_t stacks = 0;     ///< threads that can be made besides
  std::uint64_t admitted = 0;   ///< to servers, in millionths, over all CPUs
  std::uint64_t servers = 0;    ///< over all CPUs
  std::uint64_t unhandled = 0;  ///< interrupts
};

/// Waits until `heap_blocks` blocks of the heap are in use, as when all threads that have ended are freed, and reads
/// the levels. Makes as many threads as there can be, for their number and so that what stacks need for ever is there.
Levels read_levels(std::uint64_t heap_blocks);
/// Fails if they differ, and names the first that does.
void compare(const Levels& before, const Levels& after);

}  // namespace guest::stress
