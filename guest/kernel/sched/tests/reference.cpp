#include "reference.hpp"

#include <algorithm>
#include <cstdlib>

namespace guest::sched::testing {
namespace {

__extension__ using Wide = __int128;

struct Server {
  std::int64_t c;
  std::int64_t d;
  bool throttled;
  bool has_work;
  std::size_t job;         ///< the first that is not finished
  std::int64_t remaining;  ///< of that job's demand
};

class Simulation {
 public:
  explicit Simulation(const Workload& workload) : in_(workload) {
    for (std::size_t i = 0; i < in_.servers.size(); ++i) {
      const std::int64_t first_demand = in_.jobs[i].empty() ? 0 : in_.jobs[i][0].demand;
      servers_.push_back({0, -in_.servers[i].period, false, false, 0, first_demand});
      out_.finishes.emplace_back(in_.jobs[i].size(), kUnfinished);
    }
    out_.throttles.resize(in_.servers.size());
  }

  Schedule run() {
    while (now_ < in_.horizon) {
      deplete();
      replenish();
      wake_up();
      choose();
      advance_to(next_event());
    }
    return out_;
  }

 private:
  [[nodiscard]] std::int64_t next_period(std::size_t i) const {
    return servers_[i].d - in_.servers[i].deadline + in_.servers[i].period;
  }

  [[nodiscard]] bool job_is_released(std::size_t i) const {
    return servers_[i].job < in_.jobs[i].size() && in_.jobs[i][servers_[i].job].release <= now_;
  }

  void throttle(std::size_t i) {
    servers_[i].throttled = true;
    if (!in_.servers[i].soft) ++out_.throttles[i];
  }

  void add_budget(std::size_t i) {
    while (servers_[i].c <= 0) {
      servers_[i].d += in_.servers[i].period;
      servers_[i].c += in_.servers[i].budget;
    }
  }

  /// Step 2, of the server that ran until now.
  void deplete() {
    if (running_ == kIdle) return;
    const auto i = static_cast<std::size_t>(running_);
    if (servers_[i].c <= 0) throttle(i);
  }

  /// Step 3, of servers whose work goes on.
  void replenish() {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const bool work_goes_on = servers_[i].has_work && job_is_released(i);
      if (!servers_[i].throttled || !work_goes_on) continue;
      if (in_.servers[i].soft || next_period(i) <= now_) replenish(i);
    }
  }

  void replenish(std::size_t i) {
    add_budget(i);
    if (servers_[i].d <= now_) {
      servers_[i].d = now_ + in_.servers[i].deadline;
      servers_[i].c = in_.servers[i].budget;
    }
    servers_[i].throttled = false;
  }

  /// Step 4. A server whose job has ended has work still if its next one is released by now.
  void wake_up() {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const bool had_work = servers_[i].has_work;
      servers_[i].has_work = job_is_released(i);
      if (!servers_[i].has_work || had_work) continue;
      if (servers_[i].throttled) {
        end_rest(i);
      } else {
        give_budget_at_wake_up(i);
      }
      if (servers_[i].throttled && in_.servers[i].soft) replenish(i);
    }
  }

  /// Of a server that is throttled when it gets work.
  void end_rest(std::size_t i) {
    const auto& [budget, period, deadline, soft] = in_.servers[i];
    Server& server = servers_[i];
    const std::int64_t since = now_ - next_period(i);
    if (since < 0) return;
    server.c =
        static_cast<std::int64_t>(std::min<Wide>(budget, Wide{server.c} + budget + Wide{since} * budget / period));
    server.d = now_ + deadline;
    server.throttled = server.c <= 0;
  }

  void give_budget_at_wake_up(std::size_t i) {
    const auto& [budget, period, deadline, soft] = in_.servers[i];
    Server& server = servers_[i];
    const Wide allowed = (Wide{server.d} - now_) * budget;
    if (server.d <= now_ && now_ < next_period(i)) {
      server.c = std::min<std::int64_t>(server.c, 0);
      throttle(i);
    } else if (server.d <= now_) {
      server.d = now_ + deadline;
      server.c = budget;
    } else if (Wide{server.c} * deadline > allowed) {
      if (deadline == period) {
        server.d = now_ + deadline;
        server.c = budget;
      } else {
        server.c = static_cast<std::int64_t>(allowed / deadline);
        if (server.c == 0) throttle(i);
      }
    }
  }

  /// Step 5.
  void choose() {
    running_ = kIdle;
    std::int64_t earliest = 0;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (!servers_[i].has_work || servers_[i].throttled) continue;
      if (running_ != kIdle && servers_[i].d >= earliest) continue;
      running_ = static_cast<int>(i);
      earliest = servers_[i].d;
    }
  }

  /// Finished jobs were released before, and releases do not decrease.
  [[nodiscard]] std::int64_t next_release(std::size_t i) const {
    for (std::size_t j = servers_[i].job; j < in_.jobs[i].size(); ++j) {
      if (in_.jobs[i][j].release > now_) return in_.jobs[i][j].release;
    }
    return in_.horizon;
  }

  [[nodiscard]] std::int64_t next_event() const {
    std::int64_t next = in_.horizon;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      next = std::min(next, next_release(i));
      if (servers_[i].throttled && servers_[i].has_work) next = std::min(next, next_period(i));
    }
    if (running_ != kIdle) {
      const Server& server = servers_[static_cast<std::size_t>(running_)];
      next = std::min({next, now_ + server.c, now_ + server.remaining});
    }
    return next;
  }

  /// Time passes; step 1 of the next instant.
  void advance_to(std::int64_t next) {
    if (next <= now_) std::abort();  // a fault of the simulation: it would stand still
    add_slice(next);
    if (running_ != kIdle) {
      const auto i = static_cast<std::size_t>(running_);
      servers_[i].c -= next - now_;
      servers_[i].remaining -= next - now_;
      if (servers_[i].remaining == 0 && next < in_.horizon) finish_job(i, next);
    }
    now_ = next;
  }

  void add_slice(std::int64_t end) {
    if (!out_.slices.empty() && out_.slices.back().server == running_) {
      out_.slices.back().end = end;
    } else {
      out_.slices.push_back({running_, now_, end});
    }
  }

  void finish_job(std::size_t i, std::int64_t time) {
    out_.finishes[i][servers_[i].job] = time;
    ++servers_[i].job;
    if (servers_[i].job < in_.jobs[i].size()) servers_[i].remaining = in_.jobs[i][servers_[i].job].demand;
  }

  const Workload& in_;
  Schedule out_;
  std::vector<Server> servers_;
  std::int64_t now_ = 0;
  int running_ = kIdle;
};

}  // namespace

Schedule run_reference(const Workload& workload) { return Simulation(workload).run(); }

}  // namespace guest::sched::testing
