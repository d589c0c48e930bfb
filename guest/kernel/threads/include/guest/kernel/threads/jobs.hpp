// Periodic work of a thread: a job for each release, and what is measured of them.
#pragma once

#include <atomic>
#include <cstdint>

#include "guest/kernel/histogram.hpp"
#include "guest/kernel/sched/cbs.hpp"

namespace guest::threads {

/// Of the jobs of one or several threads of one CPU. Readers anywhere, at any time.
struct JobStatistics {
  kernel::Histogram release_jitter;        ///< from its release until a job has the CPU
  kernel::Histogram response;              ///< from its release until a job is done
  kernel::Histogram tardiness;             ///< from its deadline until a job is done; 0 for one that is in time
  std::atomic<std::uint64_t> misses{0};    ///< jobs that were done after their deadline
  std::atomic<std::uint64_t> overruns{0};  ///< jobs that took more processor time than the budget
  /// Forgets all. On the CPU of the jobs, interrupts masked.
  void reset();
};

struct JobTiming {
  sched::Time first_release = 0;  ///< of the clock
  sched::Time period = 0;
  sched::Time deadline = 0;  ///< after the release
  sched::Time budget = 0;    ///< of processor time for one job; 0: none
  std::uint32_t server = 0;  ///< id, for the trace
};

/// In the thread whose jobs these are:
///
///   Jobs jobs(timing, statistics);
///   while (jobs.begin()) {
///     ...
///     jobs.end();
///   }
class Jobs {
 public:
  Jobs(const JobTiming& timing, JobStatistics& statistics)
      : timing_(timing), release_(timing.first_release), statistics_(statistics) {}

  /// Waits until the next job is released: a period after the one before, even if that ended later. False: the thread
  /// has been asked to stop.
  bool begin();
  /// The job is done.
  void end();
  /// Processor time that the thread has had since begin().
  [[nodiscard]] sched::Time ran() const;

 private:
  JobTiming timing_;
  sched::Time release_;
  sched::Time ran_before_ = 0;
  JobStatistics& statistics_;
};

}  // namespace guest::threads
