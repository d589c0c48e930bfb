// The sections `scheduler` and `tasks`.
#pragma once

#include "types.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::scenario {

TypePtr<Scheduler> scheduler_type();
TypePtr<std::vector<Task>> tasks_type();

/// What must hold between them and the machine: names are unique, servers are there, CPUs too. `root` is the file.
void check_tasks(Problems& problems, const Node& root, const Scenario& scenario);

}  // namespace vmm::scenario
