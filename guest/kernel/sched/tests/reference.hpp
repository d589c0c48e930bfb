// The schedule that the rules of docs/scheduler.md give, computed the slow and plain way: a test compares the kernel's
// scheduler with it. It shares no code with the scheduler.
#pragma once

#include "workload.hpp"

namespace guest::sched::testing {

/// Executes `workload` from 0 to its horizon. Budgets, periods and deadlines are > 0 with budget <= deadline <= period;
/// there are as many lists of jobs as servers.
///
/// Two things that the rules leave to the reader:
/// - A job that is released at the very instant at which its server's last job ends does not wake the server up, nor
///   does a job that waits already: a thread whose next release has come does not sleep.
/// - Nothing happens at the horizon: what would end there is unfinished, and who would be throttled there is not.
///
/// Time is exact here, so a server is charged at the instant at which c becomes 0 and never overruns: that an overrun
/// is repaid cannot be seen in this simulation.
[[nodiscard]] Schedule run_reference(const Workload& workload);

}  // namespace guest::sched::testing
