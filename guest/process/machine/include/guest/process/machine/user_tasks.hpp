// User tasks at EL0: each in a thread of its own (docs/user-tasks.md).
#pragma once

#include <cstdint>

#include "guest/process/program.hpp"
#include "guest/process/task_llm.hpp"

namespace guest::process {

/// Handles the exceptions of user tasks from now on, and loads programs for them. Once. `unix_time_at_reset_ns`: the
/// wall clock, 0: unknown.
ProgramLoader& start_user_tasks(std::uint64_t unix_time_at_reset_ns);

/// Who makes the handles of tasks that are loaded from now on. Outlives them.
void set_llm_source(TaskLlmSource& source);

}  // namespace guest::process
