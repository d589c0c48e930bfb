#include "properties.hpp"

#include <algorithm>

namespace guest::sched::testing {
namespace {

__extension__ using Wide = __int128;

constexpr std::int64_t kMostPeriods = 5;
constexpr std::int64_t kMillion = 1'000'000;

std::string name_of(std::size_t id, std::size_t job) {
  return "server " + std::to_string(id) + ", job " + std::to_string(job);
}

std::string text(const Slice& slice) {
  return "server " + std::to_string(slice.server) + " in [" + std::to_string(slice.begin) + ", " +
         std::to_string(slice.end) + ")";
}

std::string text_of_finish(std::int64_t finish) {
  return finish == kUnfinished ? "unfinished" : "finished at " + std::to_string(finish);
}

std::vector<Slice> slices_of(const Schedule& schedule, std::size_t id) {
  std::vector<Slice> own;
  for (const Slice& slice : schedule.slices) {
    if (slice.server == static_cast<int>(id)) own.push_back(slice);
  }
  return own;
}

std::string late_job(const Workload& workload, const Schedule& schedule, std::size_t id) {
  for (std::size_t j = 0; j < workload.jobs[id].size(); ++j) {
    const std::int64_t due = workload.jobs[id][j].release + workload.servers[id].deadline;
    const std::int64_t finish = schedule.finishes[id][j];
    if (due >= workload.horizon || (finish != kUnfinished && finish <= due)) continue;
    return name_of(id, j) + ": due at " + std::to_string(due) + ", " + text_of_finish(finish);
  }
  return {};
}

/// The bound for k periods, times P: for D = P it need not be a whole number.
Wide bound_times_period(const ServerSpec& spec, std::int64_t k) {
  const Wide budget = spec.budget;
  if (spec.deadline < spec.period) return (k + 1) * budget * spec.period;
  return (k + 2) * budget * spec.period - 2 * budget * budget;
}

std::int64_t time_in(const std::vector<Slice>& slices, std::size_t first, std::int64_t end) {
  std::int64_t time = 0;
  for (std::size_t i = first; i < slices.size() && slices[i].begin < end; ++i) {
    time += std::min(slices[i].end, end) - slices[i].begin;
  }
  return time;
}

/// Windows that begin where a slice begins are enough. Take any other. If the server does not run at its begin, it can
/// move later, to the next slice's begin: it loses nothing there and may gain at its end. If the server runs at its
/// begin, it can move earlier, to that slice's begin: it gains all the time by which it moves and loses at most that.
std::string overfull_window(const Workload& workload, const Schedule& schedule, std::size_t id) {
  const ServerSpec& spec = workload.servers[id];
  const std::vector<Slice> slices = slices_of(schedule, id);
  for (std::size_t i = 0; i < slices.size(); ++i) {
    for (std::int64_t k = 1; k <= kMostPeriods; ++k) {
      const std::int64_t end = std::min(slices[i].begin + k * spec.period, workload.horizon);
      const std::int64_t got = time_in(slices, i, end);
      if (Wide{got} * spec.period <= bound_times_period(spec, k)) continue;
      return "server " + std::to_string(id) + " gets " + std::to_string(got) + " in [" +
             std::to_string(slices[i].begin) + ", " + std::to_string(end) + "), " + std::to_string(k) + " periods";
    }
  }
  return {};
}

std::string fault_of_cover(const Workload& workload, const Schedule& schedule) {
  std::int64_t covered = 0;
  int last = kIdle - 1;
  for (const Slice& slice : schedule.slices) {
    if (slice.server < kIdle || slice.server >= static_cast<int>(workload.servers.size())) {
      return "nobody has this id: " + text(slice);
    }
    if (slice.begin != covered) return "gap or overlap at " + std::to_string(covered) + ": " + text(slice);
    if (slice.end <= slice.begin) return "empty: " + text(slice);
    if (slice.server == last) return "not merged: " + text(slice);
    covered = slice.end;
    last = slice.server;
  }
  if (covered != workload.horizon) return "the slices end at " + std::to_string(covered);
  return {};
}

/// The finishes that follow from the slices alone, each job getting its demand in its turn.
std::string fault_of_jobs(const Workload& workload, const Schedule& schedule, std::size_t id) {
  const std::vector<Job>& jobs = workload.jobs[id];
  std::vector<std::int64_t> expected(jobs.size(), kUnfinished);
  std::size_t j = 0;
  std::int64_t got = 0;
  for (const Slice& slice : slices_of(schedule, id)) {
    for (std::int64_t time = slice.begin; time < slice.end;) {
      if (j == jobs.size()) return "no work at " + std::to_string(time) + ": " + text(slice);
      if (time < jobs[j].release) return name_of(id, j) + ": not released at " + std::to_string(time);
      const std::int64_t step = std::min(slice.end - time, jobs[j].demand - got);
      time += step;
      got += step;
      if (got < jobs[j].demand) continue;
      if (time < workload.horizon) expected[j] = time;
      got = 0;
      ++j;
    }
  }
  for (j = 0; j < jobs.size(); ++j) {
    if (schedule.finishes[id][j] == expected[j]) continue;
    return name_of(id, j) + ": " + text_of_finish(schedule.finishes[id][j]) + ", but is " + text_of_finish(expected[j]);
  }
  return {};
}

/// The other checks index a schedule by its workload.
std::string fault_of_shape(const Workload& workload, const Schedule& schedule) {
  if (schedule.finishes.size() != workload.servers.size()) return "finishes of another number of servers";
  for (std::size_t i = 0; i < workload.servers.size(); ++i) {
    if (schedule.finishes[i].size() != workload.jobs[i].size()) {
      return "server " + std::to_string(i) + ": finishes of another number of jobs";
    }
  }
  return {};
}

}  // namespace

bool is_honest(const Workload& workload, std::size_t id) {
  const ServerSpec& spec = workload.servers[id];
  const std::vector<Job>& jobs = workload.jobs[id];
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    if (jobs[j].demand > spec.budget) return false;
    if (j == 0) continue;
    if (jobs[j].release - jobs[j - 1].release < spec.period) return false;
  }
  return true;
}

std::string honest_servers_miss_nothing(const Workload& workload, const Schedule& schedule) {
  std::string fault = fault_of_shape(workload, schedule);
  for (std::size_t i = 0; fault.empty() && i < workload.servers.size(); ++i) {
    if (is_honest(workload, i)) fault = late_job(workload, schedule, i);
  }
  return fault;
}

std::string hard_servers_are_bounded(const Workload& workload, const Schedule& schedule) {
  std::string fault;
  for (std::size_t i = 0; fault.empty() && i < workload.servers.size(); ++i) {
    if (!workload.servers[i].soft && !workload.servers[i].reclaim) fault = overfull_window(workload, schedule, i);
  }
  return fault;
}

std::string best_effort_has_its_share(const Workload& workload, const Schedule& schedule) {
  std::int64_t share = workload.horizon / kMillion * (kMillion - workload.bound_ppm);  // rounded down
  for (const ServerSpec& spec : workload.servers) {
    if (spec.soft) return {};
    share -= spec.budget;
  }
  std::int64_t left = 0;
  for (const Slice& slice : schedule.slices) {
    if (slice.server == kIdle) left += slice.end - slice.begin;
  }
  return left >= share ? "" : "servers leave " + std::to_string(left) + ", wanted: " + std::to_string(share);
}

std::string work_is_conserved(const Workload& workload, const Schedule& schedule) {
  std::string fault = fault_of_shape(workload, schedule);
  if (fault.empty()) fault = fault_of_cover(workload, schedule);
  for (std::size_t i = 0; fault.empty() && i < workload.servers.size(); ++i) {
    fault = fault_of_jobs(workload, schedule, i);
  }
  return fault;
}

std::string unaffected_by(const Workload& a, const Schedule& schedule_a, const Workload& b, const Schedule& schedule_b,
                          const std::vector<std::size_t>& ids) {
  std::string fault = fault_of_shape(a, schedule_a) + fault_of_shape(b, schedule_b);
  for (std::size_t k = 0; fault.empty() && k < ids.size(); ++k) {
    const std::size_t id = ids[k];
    if (a.servers[id] != b.servers[id] || a.jobs[id] != b.jobs[id]) {
      return "server " + std::to_string(id) + " is not the same in both";
    }
    fault = late_job(a, schedule_a, id);
    if (fault.empty()) fault = late_job(b, schedule_b, id);
    if (!fault.empty()) fault += " (of workload " + std::string(late_job(a, schedule_a, id).empty() ? "b" : "a") + ")";
  }
  return fault;
}

}  // namespace guest::sched::testing
