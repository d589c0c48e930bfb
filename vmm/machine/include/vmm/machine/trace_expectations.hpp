// What a scenario expects of the guest's trace.
#pragma once

#include <vector>

#include "vmm/observe/summary.hpp"
#include "vmm/observe/trace_records.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::machine {

/// Counts the events of expect.trace, and looks for those of expect.trace_order by their times, on whichever CPUs they
/// are. Where events are missing nobody knows how many there were: then no count holds. An order that is found has been
/// there in any case.
/// @param complete the guest has told all of its trace up to its end
std::vector<observe::ExpectationResult> evaluate_trace(const scenario::Expectations& expect,
                                                       const observe::TraceRecords& records, bool complete);

}  // namespace vmm::machine
