// The clock that round trips are measured with.
#pragma once

#include <cstdint>

namespace sisctl {

/// The step of the clock that round trips are measured with.
std::int64_t clock_resolution_ns();

}  // namespace sisctl
