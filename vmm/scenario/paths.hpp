// Paths in a scenario's file start from its folder, and so does what is said of them.
#pragma once

#include <string>

#include "document.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

/// Makes the paths of `scenario` absolute, notes where its files are named and checks how their files are called.
/// No file is looked at. `root` is the file, from which `scenario` was read without a problem.
void resolve_paths(Problems& problems, const Node& root, const std::string& file_name, Scenario& scenario);

}  // namespace vmm::scenario
