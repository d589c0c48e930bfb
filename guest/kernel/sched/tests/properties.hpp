// What must be true of every schedule, whoever made it. Each check returns an empty string, or a sentence on the first
// violation that it finds.
#pragma once

#include <string>

#include "workload.hpp"

namespace guest::sched::testing {

/// Whether server `id` asks for no more than it was promised, and so has the promise: each demand is at most Q and
/// releases are at least P apart.
[[nodiscard]] bool is_honest(const Workload& workload, std::size_t id);

/// Every job of an honest server with release + D < horizon ends at release + D or before. To be expected if the sum of
/// Q / D of all servers is at most 1.
[[nodiscard]] std::string honest_servers_miss_nothing(const Workload& workload, const Schedule& schedule);

/// In no window of the length k * P, k = 1..5, a hard server that does not reclaim gets more than
///   (k + 1) * Q                if D < P,
///   (k + 2) * Q - 2 * Q * Q/P  if D = P.
/// To be expected if the sum of Q / D of all servers is at most 1.
///
/// Why: call the times at which c becomes Q, with d - D then, fresh starts.
/// D < P: they are at least P apart, so at most k of them and the budget that was there before serve a window.
/// D = P: a wake-up may make a fresh start before the period is over, once less than Q/P of the time since the last
/// one was used; from one fresh start to the next the server gets at most Q/P of that time. What is left are the ends
/// of the window. Before its first fresh start it may get f <= Q without a pause, and after its last one l <= Q, thus
/// f + l + (k * P - f - l) * Q/P altogether, the most for f = l = Q.
[[nodiscard]] std::string hard_servers_are_bounded(const Workload& workload, const Schedule& schedule);

/// Servers leave to others, in [0, horizon), what is beyond the bound but for one budget of each:
///   time without any server >= (1 - bound) * horizon - the sum of Q.
/// To be expected if none is soft and the sum of Q / D is at most the bound.
///
/// Why: with A(t) the density of the active servers, budgets are worth at most the integral of A(t), and one Q for each
/// server's last period, which may end after the horizon. Time of a server that reclaims costs A(t) + 1 - bound, that
/// of another one 1, which is no less. So with S the time of servers and N the rest
///   S * (1 - bound) + the integral of A(t) over S <= the integral of A(t) over S and N + sum of Q
///   S * (1 - bound) <= N * bound + sum of Q, as A(t) <= bound.
[[nodiscard]] std::string best_effort_has_its_share(const Workload& workload, const Schedule& schedule);

/// The slices cover [0, horizon), none is empty, neighbours differ; a server runs only from a job's release to its
/// finish, and has given each job exactly its demand at its finish.
[[nodiscard]] std::string work_is_conserved(const Workload& workload, const Schedule& schedule);

/// `a` and `b` differ in what other servers do. The servers `ids` are the same in both, and all their jobs with
/// release + D < horizon end at release + D or before, in both.
[[nodiscard]] std::string unaffected_by(const Workload& a, const Schedule& schedule_a, const Workload& b,
                                        const Schedule& schedule_b, const std::vector<std::size_t>& ids);

}  // namespace guest::sched::testing
