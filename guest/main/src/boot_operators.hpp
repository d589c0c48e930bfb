// The kinds of operators of graphs, and what they need of the kernel.
#pragma once

namespace guest {

/// Before the first graph.
void start_operators();

}  // namespace guest
