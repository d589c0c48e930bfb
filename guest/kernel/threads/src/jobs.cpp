#include "guest/kernel/threads/jobs.hpp"

#include <algorithm>

#include "guest/kernel/critical.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/kernel/trace.hpp"

namespace guest::threads {
namespace {

void record(kernel::Histogram& histogram, sched::Time time) {
  histogram.record(static_cast<std::uint64_t>(std::max<sched::Time>(time, 0)));
}

/// Only this CPU writes.
void increment(std::atomic<std::uint64_t>& count) {
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

void JobStatistics::reset() {
  release_jitter.reset();
  response.reset();
  tardiness.reset();
  misses.store(0, std::memory_order_relaxed);
  overruns.store(0, std::memory_order_relaxed);
}

bool Jobs::begin() {
  if (!sleep_until(static_cast<std::uint64_t>(release_))) {
    return false;
  }
  const Dispatcher& here = dispatcher();
  const kernel::CriticalSection section;
  record(statistics_.release_jitter, here.now() - release_);
  ran_before_ = here.current_ran();
  return true;
}

sched::Time Jobs::ran() const { return dispatcher().current_ran() - ran_before_; }

void Jobs::end() {
  const Dispatcher& here = dispatcher();
  const kernel::CriticalSection section;
  const sched::Time now = here.now();
  const sched::Time late = now - release_ - timing_.deadline;
  record(statistics_.response, now - release_);
  record(statistics_.tardiness, late);
  if (late > 0) {
    increment(statistics_.misses);
    kernel::trace().record(kernel::TraceType::DeadlineMiss, timing_.server,
                           static_cast<std::uint64_t>(release_ + timing_.deadline), static_cast<std::uint64_t>(late));
  }
  if (timing_.budget != 0 && ran() > timing_.budget) {
    increment(statistics_.overruns);
  }
  release_ += timing_.period;
}

}  // namespace guest::threads
