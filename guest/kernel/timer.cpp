#include "guest/kernel/timer.hpp"

#include "guest/kernel/critical.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::kernel {
namespace {
constinit TimerQueue* boot_timers = nullptr;
}  // namespace

TimerQueue& timers() {
  require(boot_timers != nullptr, "a timer was used before the clock was set up");
  return *boot_timers;
}

void set_timers(TimerQueue& queue) { boot_timers = &queue; }

void TimerQueue::unlink(Timer& timer) {
  for (Timer** link = &first_; *link != nullptr; link = &(*link)->next_) {
    if (*link == &timer) {
      *link = timer.next_;
      timer.next_ = nullptr;
      timer.armed_ = false;
      return;
    }
  }
}

void TimerQueue::program() { hardware_.set_deadline(first_ == nullptr ? kNoDeadline : first_->deadline_ns_); }

void TimerQueue::arm(Timer& timer, std::uint64_t deadline_ns) {
  const CriticalSection section;
  require(cpu_index() == cpu_, "a timer of another CPU");
  if (timer.armed_) {
    unlink(timer);
  }
  timer.deadline_ns_ = deadline_ns;
  Timer** link = &first_;
  while (*link != nullptr && (*link)->deadline_ns_ <= deadline_ns) {
    link = &(*link)->next_;
  }
  timer.next_ = *link;
  *link = &timer;
  timer.armed_ = true;
  program();
}

void TimerQueue::cancel(Timer& timer) {
  const CriticalSection section;
  require(cpu_index() == cpu_, "a timer of another CPU");
  if (timer.armed_) {
    unlink(timer);
    program();
  }
}

void TimerQueue::on_interrupt() {
  const CriticalSection section;
  require(cpu_index() == cpu_, "a timer of another CPU");
  const std::uint64_t now_ns = hardware_.now_ns();
  while (first_ != nullptr && first_->deadline_ns_ <= now_ns) {
    Timer& due = *first_;
    first_ = due.next_;
    due.next_ = nullptr;
    due.armed_ = false;
    work_.raise(*due.item_);
  }
  program();
}

}  // namespace guest::kernel
