#include "guest/kernel/sched/cpu_scheduler.hpp"

#include <algorithm>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/trace.hpp"

namespace guest::sched {

Admission CpuScheduler::admit(const Server& server) {
  const ServerParameters& parameters = server.cbs().parameters();
  Admission answer{.verdict = check(parameters), .admitted = admitted_, .bound = bound_};
  if (answer.verdict != Verdict::Admitted) {
    return answer;
  }
  answer.density = density(parameters);
  if (answer.density > bound_ - admitted_) {
    answer.verdict = Verdict::TooMuch;
  } else {
    admitted_ += answer.density;
    ++servers_;
  }
  return answer;
}

Placement place(std::span<CpuScheduler* const> cpus, const Server& server) {
  kernel::require(!cpus.empty(), "a server is placed on none of no CPUs");
  Placement best{};
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    const Admission admission = cpus[i]->admit(server);
    if (admission.verdict == Verdict::Admitted) {
      return {.cpu = i, .admission = admission};
    }
    if (i == 0 || admission.bound - admission.admitted > best.admission.bound - best.admission.admitted) {
      best = {.cpu = i, .admission = admission};
    }
  }
  return best;
}

void CpuScheduler::remove(Server& server, Time now) {
  kernel::require(!server.has_work(), "a server with ready tasks is removed");
  if (server.known_link_.linked) {
    forget(server, now);
  }
  admitted_ -= density(server.cbs().parameters());
  --servers_;
}

/// What comes before make_ready() where there is more than servers with their budgets, or one is unknown so far.
void CpuScheduler::prepare_to_wake(Task& task, Time now) {
  if (task.inherited_ != kNever) {
    heirs_.insert(task);
  }
  if (Server* const server = task.server_) {
    // What is due at this instant comes first (rule 3).
    replenish_due(now);
    if (!server->has_work()) {
      if (!server->known_link_.linked) {
        get_to_know(*server, now);
      }
      if (reclaimers_ != 0) {
        become_active(*server, now);
      }
    }
  }
}

/// A server that has work again, and no budget.
void CpuScheduler::wait_for_budget(Server& server, bool was_throttled) {
  throttled_.insert(server);
  if (!was_throttled) {
    note_throttle(server);
  }
}

void CpuScheduler::block(Task& task, Time now) {
  if (!task.ready()) {
    return;
  }
  charge(now);
  if (running_ == &task) {
    running_ = nullptr;
  }
  if (task.inherited_ != kNever) {
    heirs_.remove(task);
  }
  if (task.server_ == nullptr) {
    if (best_effort_.front() == &task) {
      slice_left_ = kSlice;
    }
    best_effort_.remove(task);
    return;
  }
  Server& server = *task.server_;
  server.tasks_.remove(task);
  if (server.has_work()) {
    return;
  }
  if (server.cbs_.throttled()) {
    throttled_.remove(server);
  } else {
    ready_.remove(server);
  }
  if (reclaimers_ != 0) {
    begin_to_leave(server, now);
  }
}

void CpuScheduler::inherit(Task& task, Time deadline) {
  if (task.ready() && task.inherited_ != kNever) {
    heirs_.remove(task);
  }
  task.inherited_ = deadline;
  if (task.ready() && deadline != kNever) {
    heirs_.insert(task);
  }
}

/// Where in the time it was stolen is not known: as if at its beginning.
void CpuScheduler::skip_what_was_stolen(Time now) {
  const Time since = accounted_until();
  const Time stolen = stolen_.take(now - since);
  charged_until_ += stolen;
  reclaimed_until_ = since + stolen;
}

void CpuScheduler::charge_server(Server& server, Time ran) {
  server.counters_.ran += ran;
  if (reclaims(server)) {
    charge_reclaiming(server, charged_until_ - ran, charged_until_);
    ran = 0;
  }
  server.counters_.max_overrun = std::max(server.counters_.max_overrun, ran - server.cbs_.budget());
  const bool was_throttled = server.cbs_.throttled();  // and its task has gone on until now all the same
  if (!server.cbs_.charge(ran) || was_throttled) {
    return;
  }
  ready_.remove(server);
  throttled_.insert(server);
  note_throttle(server);
}

void CpuScheduler::note_throttle(Server& server) {
  const Cbs& cbs = server.cbs_;
  if (cbs.parameters().depletion == Depletion::Hard) {
    ++server.counters_.throttles;
    kernel::trace().record(kernel::TraceType::Throttle, server.id_, static_cast<std::uint64_t>(cbs.next_period()),
                           static_cast<std::uint64_t>(-std::min<Time>(cbs.budget(), 0)));
  }
}

/// Rule 3.
void CpuScheduler::replenish(Time now) {
  for (Server* server = throttled_.first(); server != nullptr && server->cbs_.replenished_at() <= now;
       server = throttled_.first()) {
    (void)throttled_.pop_first();
    server->cbs_.replenish(now);
    kernel::trace().record(kernel::TraceType::Replenish, server->id_,
                           static_cast<std::uint64_t>(server->cbs_.deadline()),
                           static_cast<std::uint64_t>(server->cbs_.budget()));
    ready_.insert(*server);
  }
}

}  // namespace guest::sched
