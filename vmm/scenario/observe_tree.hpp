// The nodes /observe and /autorun of the scenario tree.
#pragma once

#include "tree_writer.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Nothing where the scenario has neither.
void write_observe(TreeWriter& tree, const Scenario& scenario);

}  // namespace vmm::scenario
