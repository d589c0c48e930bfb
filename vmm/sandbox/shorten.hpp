// Makes the programs that libseccomp writes shorter: for each instruction the kernel takes 1000 instructions when it
// translates and compiles a filter, and a start waits for that.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace vmm::sandbox {

/// A program that answers every call as the given one does; its first instruction stays the first. Expects what
/// libseccomp writes: jumps by constants, and no use of what an earlier branch has left in the accumulator but by the
/// comparison that follows a load. Ends the process if a jump would be too long.
std::vector<sock_filter> shorten(const std::vector<sock_filter>& program);

}  // namespace vmm::sandbox
