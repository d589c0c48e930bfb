#include "reference.hpp"

#include <algorithm>
#include <cstdlib>

namespace guest::sched::testing {
namespace {

__extension__ using Wide = __int128;

constexpr std::int64_t kDensityOne = 1'000'000;

struct Server {
  std::int64_t c;
  std::int64_t part;  ///< of the next nanosecond of c, in millionths
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
      servers_.push_back({0, 0, -in_.servers[i].period, false, false, 0, first_demand});
      reclaiming_ = reclaiming_ || in_.servers[i].reclaim;
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
    servers_[i].part = 0;
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
      servers_[i].part = 0;
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
    const auto& [budget, period, deadline, soft, reclaim] = in_.servers[i];
    Server& server = servers_[i];
    const std::int64_t since = now_ - next_period(i);
    if (since < 0) return;
    server.c =
        static_cast<std::int64_t>(std::min<Wide>(budget, Wide{server.c} + budget + Wide{since} * budget / period));
    server.d = now_ + deadline;
    server.throttled = server.c <= 0;
  }

  void give_budget_at_wake_up(std::size_t i) {
    const auto& [budget, period, deadline, soft, reclaim] = in_.servers[i];
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

  /// With work, or less of its budget left than the time up to its deadline is worth.
  [[nodiscard]] bool is_active(std::size_t i) const {
    const auto& [budget, period, deadline, soft, reclaim] = in_.servers[i];
    return servers_[i].has_work || (Wide{servers_[i].d} - now_) * budget > Wide{servers_[i].c} * deadline;
  }

  /// What an active server without work is no more from that time on.
  [[nodiscard]] std::int64_t end_of_activity(std::size_t i) const {
    const auto& [budget, period, deadline, soft, reclaim] = in_.servers[i];
    return static_cast<std::int64_t>((Wide{servers_[i].d} * budget - Wide{servers_[i].c} * deadline + budget - 1) /
                                     budget);
  }

  /// Millionths of its time that a running server is charged for.
  [[nodiscard]] std::int64_t rate(std::size_t running) const {
    if (!in_.servers[running].reclaim) return kDensityOne;
    std::int64_t active = 0;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const auto& [budget, period, deadline, soft, reclaim] = in_.servers[i];
      if (is_active(i)) active += (budget * kDensityOne + deadline - 1) / deadline;
    }
    return kDensityOne - in_.bound_ppm + active;
  }

  [[nodiscard]] std::int64_t next_event() const {
    std::int64_t next = in_.horizon;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      next = std::min(next, next_release(i));
      if (servers_[i].throttled && servers_[i].has_work) next = std::min(next, next_period(i));
      if (reclaiming_ && !servers_[i].has_work && is_active(i)) next = std::min(next, end_of_activity(i));
    }
    if (running_ != kIdle) {
      const auto i = static_cast<std::size_t>(running_);
      next = std::min({next, depletion(i), now_ + servers_[i].remaining});
    }
    return next;
  }

  /// When not a whole nanosecond is left of c.
  [[nodiscard]] std::int64_t depletion(std::size_t i) const {
    const Wide to_spend = Wide{servers_[i].c - 1} * kDensityOne + servers_[i].part;
    return now_ + static_cast<std::int64_t>(to_spend / rate(i)) + 1;
  }

  void charge(std::size_t i, std::int64_t ran) {
    const Wide left = Wide{servers_[i].c} * kDensityOne + servers_[i].part - Wide{ran} * rate(i);
    servers_[i].c = static_cast<std::int64_t>(left / kDensityOne);
    servers_[i].part = static_cast<std::int64_t>(left % kDensityOne);
    if (left < 0) std::abort();  // nobody overruns here
  }

  /// Time passes; step 1 of the next instant.
  void advance_to(std::int64_t next) {
    if (next <= now_) std::abort();  // a fault of the simulation: it would stand still
    add_slice(next);
    if (running_ != kIdle) {
      const auto i = static_cast<std::size_t>(running_);
      charge(i, next - now_);
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
  bool reclaiming_ = false;  ///< there is a server that does
};

}  // namespace

Schedule run_reference(const Workload& workload) { return Simulation(workload).run(); }

}  // namespace guest::sched::testing
