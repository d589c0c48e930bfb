// Schemas and graphs in the scenario's tree (binding: abi/boot_config.hpp).
#pragma once

#include "tree_writer.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Writes /schemas and /graphs, where there are any. Within the root node.
void write_graphs(TreeWriter& tree, const Scenario& scenario);

}  // namespace vmm::scenario
