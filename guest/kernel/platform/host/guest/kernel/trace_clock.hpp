// The clock of the trace, which tests bring along.
#pragma once

#include <cstdint>

#include "guest/kernel/clock.hpp"

namespace guest::kernel {

inline std::uint64_t trace_now_ns(const Clock& clock) { return clock.now_ns(); }

}  // namespace guest::kernel
