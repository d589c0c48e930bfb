// The node /llm of the scenario tree.
#pragma once

#include "tree_writer.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Nothing where the scenario says nothing of models.
void write_llm(TreeWriter& tree, const Llm& llm);

}  // namespace vmm::scenario
