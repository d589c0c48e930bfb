// The kernel's scheduler on a simulated CPU, whose clock and timer are exact.
#pragma once

#include "workload.hpp"

namespace guest::sched::testing {

/// The servers must fit.
Schedule simulate(const Workload& workload);

}  // namespace guest::sched::testing
