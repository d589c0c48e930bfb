// The table of options: everything that a scenario file may say (apiVersion sis/v1).
#pragma once

#include "types.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// The whole file.
const TypePtr<Scenario>& scenario_type();

/// Its section `machine`, which the command line can change.
const TypePtr<Machine>& machine_type();

/// One control request: a step, or one of `parallel`.
const TypePtr<Request>& request_type();

/// A plain value, or a map with what must hold.
const TypePtr<Condition>& condition_type();

/// What must hold between the options of `machine`, wherever they come from. `node` gives the places.
void check_machine(Problems& problems, const std::string& key, const Node& node, const Machine& machine);

}  // namespace vmm::scenario
