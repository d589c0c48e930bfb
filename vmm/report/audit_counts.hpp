// What an audit log comes to.
#pragma once

#include <string>
#include <string_view>

#include "vmm/base/result.hpp"

namespace vmm::report {

/// Counts in the lines of an audit.jsonl (docs/audit.md): {"records", "lost", "boots", "first_time_ns", "last_time_ns",
/// "events": {EVENT: records}}. Whether the log is as it was written is for `sisctl audit verify`.
/// Errors: a line that is no JSON object; the sentence has its number.
Result<std::string> audit_counts(std::string_view lines);

}  // namespace vmm::report
