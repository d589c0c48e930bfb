// The sections `schemas` and `graphs`.
#pragma once

#include "types.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

TypePtr<std::vector<Schema>> schemas_type();
TypePtr<std::vector<Graph>> graphs_type();

/// What must hold within a graph: ids and names are unique, and each channel has one producer and one consumer. `node`
/// is the graph.
void check_graph(Problems& problems, const std::string& key, const Node& node, const Graph& graph);

/// What must hold between schemas, graphs and the machine: names and ids are unique, schemas are there, CPUs too.
/// Schemas that are meant by their ids get their names. `root` is the file.
void check_graphs(Problems& problems, const Node& root, Scenario& scenario);

}  // namespace vmm::scenario
