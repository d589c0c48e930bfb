// The node /llm of the scenario tree.
#pragma once

#include "tree_writer.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Nothing where the scenario says nothing of models. `servers`: the scheduler's, of which llm.server is one.
void write_llm(TreeWriter& tree, const Llm& llm, const std::vector<Server>& servers);

}  // namespace vmm::scenario
