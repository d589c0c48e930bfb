// What is counted of all jobs, whoever runs them.
#pragma once

#include "abi/npu.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/histogram.hpp"

namespace guest::npu {

/// Names: docs/observation.md. Those of the driver are 0 where the CPU runs the jobs.
struct Metrics {
  kernel::Counter jobs{"npu_jobs"};                        ///< that have ended
  kernel::Counter in_flight{"npu_jobs_in_flight"};         ///< now
  kernel::Counter faults{"npu_job_faults"};                ///< refused, or failed while they ran
  kernel::Counter deadline_misses{"npu_deadline_misses"};  ///< Status::Deadline
  kernel::Counter busy_cycles{"npu_busy_cycles"};          ///< modelled, of the commands that have run
  kernel::Counter bytes{"npu_bytes"};                      ///< read and written, by the model, of jobs that ended well
  kernel::Counter throttled{"npu_throttled"};              ///< a job had to wait for its server's next budget
  kernel::Counter interrupts{"npu_interrupts"};
  kernel::Counter lost_interrupts{"npu_lost_interrupts"};  ///< results that only the timer found
  kernel::Counter overdue{"npu_overdue_jobs"};             ///< aborted by the driver, since they did not come back
  kernel::Counter resets{"npu_resets"};                    ///< of the device, by the driver
  void register_all(kernel::CounterRegistry& registry);
};
Metrics& metrics();

/// From submission to end, of jobs of one priority.
const kernel::Histogram& job_latency(abi::npu::Priority priority);

}  // namespace guest::npu
