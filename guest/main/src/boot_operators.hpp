// The kinds of operators of graphs, and what they need of the kernel.
#pragma once

#include <cstdint>

#include "guest/kernel/log_history.hpp"

namespace guest {

namespace llm {
class Service;
}

/// Before the first graph.
void start_operators();
/// Those of language models have this service, as clients of this class. After start_operators(), before the first
/// graph.
void give_operators(llm::Service& service, std::uint32_t client_class);
/// The newest lines of the kernel's log; complete from start_operators() on.
const kernel::LogHistory& kept_log_lines();

}  // namespace guest
