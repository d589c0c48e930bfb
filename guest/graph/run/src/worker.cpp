#include "worker.hpp"

#include <algorithm>
#include <bit>

namespace guest::graph {

bool Worker::start(std::string_view name, kernel::WorkItem& gone) {
  auto thread = threads::spawn(
      {.name = name, .cpu = cpu_, .server = server_ == nullptr ? nullptr : &server_->schedulable(), .gone = &gone},
      [](void* self) { static_cast<Worker*>(self)->run(); }, this);
  if (!thread) {
    return false;
  }
  thread_ = *std::move(thread);
  return true;
}

void Worker::raise(std::size_t place) {
  if (raised_.raise(run_.busy_, bit(place))) {
    wake();
  }
}

void Worker::wake() {
  threads::Waking waking;
  waking.unpark(*thread_);
}

void Worker::notify(std::size_t place) {
  Worker& of = *run_.workers_[run_.places_[place].worker];
  if (&of == this) {
    work_ |= bit(place);
  } else {
    of.raise(place);
  }
}

void Worker::notify(const Runner::Place& from, std::uint32_t producers, std::uint32_t consumers) {
  for (std::uint32_t left = producers; left != 0; left &= left - 1) {
    notify(from.producers[std::countr_zero(left)]);
  }
  for (std::uint32_t left = consumers; left != 0; left &= left - 1) {
    notify(from.consumers[std::countr_zero(left)]);
  }
}

/// Nothing is to be done, but a source may wait for a time; then the run is not over.
void Worker::wait() {
  if (timed_ == 0 && raised_.rest(run_.busy_)) {
    run_.become_quiet();
  }
  here_->park_until(due_ns_);
}

void Worker::wake_due_sources(std::uint64_t now_ns) {
  due_ns_ = threads::kForever;
  for (std::uint64_t left = timed_; left != 0; left &= left - 1) {
    const auto place = static_cast<std::size_t>(std::countr_zero(left));
    if (run_.places_[place].due_ns <= now_ns) {
      timed_ &= ~bit(place);
      work_ |= bit(place);
    } else {
      due_ns_ = std::min(due_ns_, run_.places_[place].due_ns);
    }
  }
}

bool Worker::source_is_ready(std::size_t place, std::uint64_t now_ns) {
  Runner::Place& at = run_.places_[place];
  timed_ &= ~bit(place);
  if (at.steps_left == 0 || run_.draining_.load(std::memory_order_relaxed)) {
    return false;
  }
  const std::uint64_t ready_ns = at.code->code().ready_at(now_ns);
  if (ready_ns <= now_ns) {
    return true;
  }
  if (ready_ns != OperatorCode::kAsleep) {
    at.due_ns = ready_ns;
    timed_ |= bit(place);
    due_ns_ = std::min(due_ns_, ready_ns);
  }
  return false;
}

// The way of every execution: each of these is called from one place.

/// Of those of the highest priority the next one after the last.
[[gnu::always_inline]] inline std::size_t Worker::choose() {
  const auto first = static_cast<std::size_t>(std::countr_zero(work_));
  const std::uint64_t peers = work_ & run_.places_[first].peers;
  const std::uint64_t behind = peers & ~(bit(last_) | (bit(last_) - 1));
  last_ = static_cast<std::size_t>(std::countr_zero(behind != 0 ? behind : peers));
  return last_;
}

/// True: until the channel that is in its way lets it know.
[[gnu::always_inline]] inline bool Worker::is_stuck(Operator& on) {
  for (;;) {
    const Operator::Obstacle obstacle = on.obstacle();
    if (obstacle.channel == nullptr) {
      return false;
    }
    if (obstacle.is_full ? obstacle.channel->await_room() : obstacle.channel->await_element()) {
      return true;
    }
  }
}

/// Returns when it ended. Whom it wakes is part of it, so that nothing but the next choice is left between the two.
[[gnu::always_inline]] inline Worker::Moment Worker::fire(Runner::Place& at, const Moment& begin) {
  Operator& code = *at.code;
  const auto now_ns = static_cast<std::uint64_t>(begin.now);
  Operator::Fired fired;
  const kernel::Outcome outcome = code.fire(now_ns, fired);
  if (outcome) [[likely]] {
    if (code.is_source() && at.steps_left != Runner::kForEver) {
      at.steps_left -= 1;
    }
    if (fired.finished) {
      at.steps_left = 0;
    }
    if ((fired.wake_producers | fired.wake_consumers) != 0) {
      notify(at, fired.wake_producers, fired.wake_consumers);
    }
  }
  const Moment end = here_->moment();
  // What was stolen is what somebody else says: the time that a thread has had may seem to go back.
  const auto took_ns = static_cast<std::uint64_t>(std::max<sched::Time>(end.ran - begin.ran, 0));
  code.record(took_ns, static_cast<std::uint64_t>(end.now) - fired.oldest_ns);
  if (!outcome) [[unlikely]] {
    run_.note_failure(code, outcome.error());
  }
  return end;
}

[[gnu::always_inline]] inline Worker::Moment Worker::step(std::size_t place, Moment now) {
  Runner::Place& at = run_.places_[place];
  const bool is_source = at.code->is_source();
  if (is_source) {
    now = here_->moment();  // its data is of now, however long ago the last execution has ended
  }
  if ((is_source && !source_is_ready(place, static_cast<std::uint64_t>(now.now))) || is_stuck(*at.code)) {
    work_ &= ~bit(place);
    return here_->moment();
  }
  return fire(at, now);
}

/// One operator fires, or there is nothing to do for now. Returns when what comes next begins.
[[gnu::always_inline]] inline Worker::Moment Worker::work(const Moment& now) {
  if (const std::uint64_t raised = raised_.take(run_.busy_); raised != 0) [[unlikely]] {
    work_ |= raised;
  }
  if (static_cast<std::uint64_t>(now.now) >= due_ns_) [[unlikely]] {
    wake_due_sources(static_cast<std::uint64_t>(now.now));
  }
  if (work_ == 0) {
    wait();
    return here_->moment();
  }
  return step(choose(), now);
}

/// An execution begins where the one before it ended if nothing was between, so that the clock is read once for each:
/// three readings were 80 of 595 instructions.
void Worker::run() {
  here_ = &threads::dispatcher();
  Moment now = here_->moment();
  for (;;) {
    switch (run_.state_.load(std::memory_order_acquire)) {
      case RunState::Running:
        now = work(now);
        break;
      case RunState::Paused:
        here_->park();  // resume() and stop() wake it
        now = here_->moment();
        break;
      default:
        return;
    }
  }
}

}  // namespace guest::graph
