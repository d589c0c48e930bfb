// The lines of the scenario that the kernel runs by itself.
#pragma once

#include <string_view>

#include "guest/control/services.hpp"

namespace guest {

/// Runs `lines`, each ended by a NUL, from the loop, and then calls `done`. A line that fails ends the machine:
/// autorun-failed.
void start_autorun(control::Services& services, std::string_view lines, void (*done)());

}  // namespace guest
