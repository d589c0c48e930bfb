// What a scenario expects of the guest's audit log.
#pragma once

#include <string_view>
#include <vector>

#include "vmm/observe/summary.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::machine {

/// Counts the records that each of `wanted` describes in `lines`, the text of an audit.jsonl (docs/audit.md, The file
/// of a run), and holds their number against its condition. Of a log with gaps, or without an end that was followed,
/// nobody knows what is not in it: then none holds.
std::vector<observe::ExpectationResult> evaluate_audit(const std::vector<scenario::AuditExpectation>& wanted,
                                                       std::string_view lines);

}  // namespace vmm::machine
