// The kinds of operators of graphs, and what they need of the kernel.
#pragma once

#include "guest/kernel/log_history.hpp"

namespace guest {

/// Before the first graph.
void start_operators();
/// The newest lines of the kernel's log; complete from start_operators() on.
const kernel::LogHistory& kept_log_lines();

}  // namespace guest
