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

void CpuScheduler::remove(Server& server) {
  kernel::require(!server.has_work(), "a server with ready tasks is removed");
  admitted_ -= density(server.cbs().parameters());
  --servers_;
}

void CpuScheduler::wake(Task& task, Time now) {
  if (task.ready()) {
    return;
  }
  if (task.inherited_ != kNever) {
    heirs_.insert(task);
  }
  Server* const server = task.server_;
  if (server == nullptr) {
    best_effort_.push_back(task);
    return;
  }
  // What is due at this instant comes first (rule 3).
  replenish_due(now);
  const bool had_work = server->has_work();
  server->tasks_.push_back(task);
  if (had_work) {
    return;
  }
  const bool was_throttled = server->cbs_.throttled();
  if (!server->cbs_.wake_up(now)) {
    ready_.insert(*server);
    return;
  }
  throttled_.insert(*server);
  if (!was_throttled) {
    note_throttle(*server);
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

void CpuScheduler::yield(Time now) {
  kernel::require(running_ != nullptr, "nothing runs that could yield");
  charge(now);
  Task::List& list = running_->server_ == nullptr ? best_effort_ : running_->server_->tasks_;
  list.remove(*running_);
  list.push_back(*running_);
  if (running_->server_ == nullptr) {
    slice_left_ = kSlice;
  }
}

Task* CpuScheduler::choose(Time now) {
  charge(now);
  replenish_due(now);
  Server* const first = ready_.first();
  Task* const heir = heirs_.first();
  if (heir != nullptr && (first == nullptr || heir->inherited_ <= first->cbs_.deadline())) {
    running_ = heir;
  } else if (first != nullptr) {
    running_ = first->tasks_.front();
  } else {
    running_ = best_effort_.front();
  }
  return running_;
}

Time CpuScheduler::next_event() const {
  Time next = throttled_.empty() ? kNever : throttled_.first()->cbs_.replenished_at();
  if (running_ == nullptr) {
    return next;
  }
  if (const Server* const server = running_->server_; server != nullptr) {
    // An heir goes on without a budget.
    next = server->cbs_.throttled() ? next : std::min(next, charged_until_ + server->cbs_.budget());
  } else if (best_effort_.size() > 1) {
    next = std::min(next, charged_until_ + slice_left_);
  }
  return next;
}

/// Rules 1 and 2.
void CpuScheduler::charge(Time now) {
  const Time ran = now - charged_until_;
  charged_until_ = now;
  if (running_ == nullptr || ran == 0) {
    return;
  }
  running_->ran_ += ran;
  if (running_->server_ != nullptr) {
    charge_server(*running_->server_, ran);
    return;
  }
  slice_left_ -= ran;
  if (slice_left_ <= 0) {
    best_effort_.remove(*running_);
    best_effort_.push_back(*running_);
    slice_left_ = kSlice;
  }
}

void CpuScheduler::charge_server(Server& server, Time ran) {
  server.counters_.ran += ran;
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
void CpuScheduler::replenish_due(Time now) {
  for (Server* server = throttled_.first(); server != nullptr && server->cbs_.replenished_at() <= now;
       server = throttled_.first()) {
    throttled_.remove(*server);
    server->cbs_.replenish(now);
    kernel::trace().record(kernel::TraceType::Replenish, server->id_,
                           static_cast<std::uint64_t>(server->cbs_.deadline()),
                           static_cast<std::uint64_t>(server->cbs_.budget()));
    ready_.insert(*server);
  }
}

}  // namespace guest::sched
