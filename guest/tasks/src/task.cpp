// The bodies of tasks: loads that take processor time and measure what they get.
#include "guest/kernel/panic.hpp"
#include "guest/tasks/task_set.hpp"

namespace guest::tasks {

const threads::JobStatistics& Task::statistics() const {
  return server_ == nullptr ? *own_statistics_ : server_->statistics();
}

std::optional<process::ProgramReport> Task::program() const {
  return program_ == nullptr ? program_report_ : program_->report();
}

void Task::run(void* self) {
  const Task& task = *static_cast<const Task*>(self);
  if (const auto* const periodic = std::get_if<PeriodicLoad>(&task.load_)) {
    task.run_jobs(*periodic, task.server_ == nullptr ? *task.own_statistics_ : *task.server_->statistics_);
  } else if (const auto* const greedy = std::get_if<GreedyLoad>(&task.load_)) {
    task.run_greedily(*greedy);
  } else {
    task.program_->run();
  }
}

void Task::run_jobs(const PeriodicLoad& load, threads::JobStatistics& statistics) const {
  threads::Jobs jobs({.first_release = epoch_ + load.offset,
                      .period = load.period,
                      .deadline = load.deadline,
                      .budget = server_ == nullptr ? 0 : server_->parameters().budget,
                      .server = server_ == nullptr ? 0 : server_->id()},
                     statistics);
  for (std::uint64_t done = 0; (load.jobs == 0 || done < load.jobs) && jobs.begin(); ++done) {
    while (jobs.ran() < load.work) {
      if (threads::current_thread().stop_requested()) {
        return;  // not done, so it is not measured
      }
      threads::spin();
    }
    jobs.end();
  }
}

void Task::run_greedily(const GreedyLoad& load) const {
  const sched::Time start = epoch_ + load.start;
  if (!threads::sleep_until(static_cast<std::uint64_t>(start))) {
    return;
  }
  const threads::Dispatcher& here = threads::dispatcher();
  while (!threads::current_thread().stop_requested() && (load.length == 0 || here.now() < start + load.length)) {
    threads::spin();
  }
}

}  // namespace guest::tasks
