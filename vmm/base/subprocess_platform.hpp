// What systems do differently about child processes.
#pragma once

#include <sys/types.h>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::platform {

/// In the child, before exec: arranges that it dies with `parent`, or returns false if `parent` is gone already.
/// Async-signal-safe.
bool die_with_parent(pid_t parent);

/// In the child, before exec: closes every descriptor from `first` on. Async-signal-safe.
void close_from(int first);

/// In the parent: a descriptor that becomes readable when the child has ended.
Result<UniqueFd> watch_exit(pid_t child);

/// In the parent, where die_with_parent() cannot do it: starts whatever ends the child when the returned descriptor
/// is closed, by us or by our death. An empty descriptor where nothing is needed.
Result<UniqueFd> tie_to_us(pid_t child);

}  // namespace vmm::platform
