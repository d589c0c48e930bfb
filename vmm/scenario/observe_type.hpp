// The options observe and autorun.
#pragma once

#include "types.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

TypePtr<Observe> observe_type();
TypePtr<std::vector<std::string>> autorun_type();
/// All lines have room in the boot archive.
void check_autorun(Problems& problems, const Node& root, const Scenario& scenario);

}  // namespace vmm::scenario
