// What the kernel knows that sis-explain can be asked about (docs/explain.md).
#pragma once

#include <string_view>

#include "guest/control/services.hpp"
#include "guest/graph/run/graph_set.hpp"
#include "guest/llm/explain/figures.hpp"

namespace guest::control {

/// Of this moment. There is room for some of each: first comes what the question names, then the operators that are the
/// busiest, the channels between them that were full most often, and the servers that missed or took the most. They
/// stand in the order in which they were made. In the loop's thread.
/// @param only  null: the operators of all graphs
void gather_figures(const Services& services, const graph::Graph* only, std::string_view question,
                    llm::explain::Figures& figures);

}  // namespace guest::control
