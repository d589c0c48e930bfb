// The section `expect` of a scenario: what must hold of the run.
#pragma once

#include "types.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

const TypePtr<Expectations>& expect_type();

/// What must hold between `expect` and the rest of the scenario. `node` is the whole file.
void check_expectations(Problems& problems, const Node& node, const Scenario& scenario);

}  // namespace vmm::scenario
