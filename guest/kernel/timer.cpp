#include "guest/kernel/timer.hpp"

#include <algorithm>

#include "guest/kernel/critical.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::kernel {

void TimerQueue::program() {
  const std::uint64_t first = armed_.empty() ? kNoDeadline : armed_.first()->deadline_ns_;
  programmed_ns_ = std::min(first, event_ns_);
  hardware_.set_deadline(programmed_ns_);
}

void TimerQueue::arm(Timer& timer, std::uint64_t deadline_ns) {
  const CriticalSection section;
  require(cpu_index() == cpu_, "a timer of another CPU");
  if (timer.armed()) {
    armed_.remove(timer);
  }
  timer.deadline_ns_ = deadline_ns;
  timer.sequence_ = sequence_++;
  armed_.insert(timer);
  if (deadline_ns < programmed_ns_) {
    program();
  }
}

void TimerQueue::cancel(Timer& timer) {
  const CriticalSection section;
  require(cpu_index() == cpu_, "a timer of another CPU");
  if (timer.armed()) {
    armed_.remove(timer);
    // The interrupt stays as it is set: one that finds nothing due costs less than setting it each time.
  }
}

void TimerQueue::on_interrupt() {
  const std::uint64_t now_ns = hardware_.now_ns();
  interrupt_ns_ = now_ns;
  while (!armed_.empty() && armed_.first()->deadline_ns_ <= now_ns) {
    const Timer& due = armed_.pop_first();
    if (due.function_ != nullptr) {
      due.function_(due.context_);
    } else {
      work_.raise(*static_cast<WorkItem*>(due.context_));
    }
  }
  if (event_ns_ <= now_ns) {
    event_ns_ = kNoDeadline;
    event_function_(event_context_);
  }
  program();
}

}  // namespace guest::kernel
