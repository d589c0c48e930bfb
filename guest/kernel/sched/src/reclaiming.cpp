// Which servers of a CPU are active, and what that makes running cost one that reclaims (docs/scheduler.md,
// "Reclaiming"). Only while a server that reclaims is known; CPUs without one pay for nothing here.
//
//              gets work                 no work any more               d - c * D / Q has come
//   inactive -------------> with work ----------------------> leaving ------------------------> inactive
//                               ^                                |
//                               +------------ gets work ---------+
#include <algorithm>

#include "guest/kernel/sched/cpu_scheduler.hpp"

namespace guest::sched {

/// Every server is noted when it has work for the first time: so there is no need to watch any before one is there that
/// reclaims, and admissions, which other CPUs make, change nothing here.
void CpuScheduler::get_to_know(Server& server, Time now) {
  server.share_ = density(server.cbs_.parameters());
  known_.push_back(server);
  if (!reclaims(server) || ++reclaimers_ != 1) {
    return;
  }
  for (Server* other = known_.front(); other != nullptr; other = known_.after(*other)) {
    if (other == &server) {
      continue;  // its wake-up makes it active
    }
    other->active_ = true;
    active_ += other->share_;
    if (!other->has_work()) {
      begin_to_leave(*other, now);
    }
  }
}

void CpuScheduler::forget(Server& server, Time now) {
  if (server.active_) {
    charge_if_reclaiming(now);
  }
  if (server.active_) {
    leaving_.remove(server);
    become_inactive(server);
  }
  known_.remove(server);
  if (reclaims(server) && --reclaimers_ == 0) {
    stop_watching();
  }
}

void CpuScheduler::stop_watching() {
  while (Server* const server = leaving_.first()) {
    leaving_.remove(*server);
  }
  for (Server* server = known_.front(); server != nullptr; server = known_.after(*server)) {
    server->active_ = false;
  }
  active_ = 0;
}

void CpuScheduler::become_active(Server& server, Time now) {
  charge_if_reclaiming(now);
  if (server.active_) {
    leaving_.remove(server);
    return;
  }
  server.active_ = true;
  active_ += server.share_;
}

/// Of a server that has no work any more, at a time until which the CPU's time is charged.
void CpuScheduler::begin_to_leave(Server& server, Time now) {
  server.inactive_at_ = server.cbs_.inactive_at();
  if (server.inactive_at_ <= now) {
    become_inactive(server);
  } else {
    leaving_.insert(server);
  }
}

void CpuScheduler::become_inactive(Server& server) {
  server.active_ = false;
  active_ -= server.share_;
}

/// Before who is active changes, and not only through leaving.
void CpuScheduler::charge_if_reclaiming(Time now) {
  if (running_ != nullptr && running_->server_ != nullptr && reclaims(*running_->server_)) {
    skip_stolen(now);
    charge_reclaiming(*running_->server_, charged_until_, now);
  }
}

/// Rule 1 of a server that reclaims and ran: piece by piece, as others become inactive. Rule 2 waits for charge().
/// While none runs that reclaims, those whose time has come stay among the leaving ones: nobody asks.
void CpuScheduler::charge_reclaiming(Server& server, Time from, Time now) {
  from = std::max(from, reclaimed_until_);
  reclaimed_until_ = now;
  const Time ran = now - from;
  const Time budget = server.cbs_.budget();
  for (Server* other = leaving_.first(); other != nullptr && other->inactive_at_ <= now; other = leaving_.first()) {
    const Time until = std::max(from, other->inactive_at_);
    server.cbs_.charge_at(rate_of(server), until - from);
    from = until;
    leaving_.remove(*other);
    become_inactive(*other);
  }
  server.cbs_.charge_at(rate_of(server), now - from);
  server.counters_.reclaimed += ran - (budget - server.cbs_.budget());
}

}  // namespace guest::sched
