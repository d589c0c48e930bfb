#include "worker.hpp"

#include <algorithm>
#include <bit>

#include "guest/kernel/critical.hpp"

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
  // Acquire-release: what made the operator able to fire is seen by who takes the bit. Only the first bit tells the
  // worker, which takes all at once, and counts as one piece of work that nobody has taken up.
  // It is counted before it can be taken: the worker may have done it, and be idle again, before the next line.
  run_.busy_.fetch_add(1, std::memory_order_relaxed);
  if (raised_.fetch_or(bit(place), std::memory_order_acq_rel) == 0) {
    wake();
  } else {
    run_.busy_.fetch_sub(1, std::memory_order_relaxed);  // not to 0: the caller is counted
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

void Worker::notify(const Runner::Place& from, const Operator::Fired& fired) {
  for (std::uint32_t left = fired.wake_producers; left != 0; left &= left - 1) {
    notify(from.producers[std::countr_zero(left)]);
  }
  for (std::uint32_t left = fired.wake_consumers; left != 0; left &= left - 1) {
    notify(from.consumers[std::countr_zero(left)]);
  }
}

/// Nothing is to be done, but a source may wait for a time; then the run is not over.
void Worker::wait() {
  if (timed_ == 0 && counted_) {
    counted_ = false;
    run_.become_idle();
  }
  threads::dispatcher().park_until(due_ns_);
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

[[gnu::always_inline]] inline void Worker::take_raised() {
  if (raised_.load(std::memory_order_relaxed) == 0) [[likely]] {
    return;
  }
  work_ |= raised_.exchange(0, std::memory_order_acq_rel);
  if (counted_) {
    run_.busy_.fetch_sub(1, std::memory_order_relaxed);  // it is busy already, which counts once
  }
  counted_ = true;
}

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

[[gnu::always_inline]] inline void Worker::fire(Runner::Place& at, std::uint64_t now_ns) {
  Operator& code = *at.code;
  threads::Dispatcher& here = threads::dispatcher();
  // As current_ran(), which reads the clock by itself.
  sched::Time ran_before = 0;
  {
    const kernel::CriticalSection section;
    ran_before = here.scheduler().running_ran(here.now());
  }
  const auto fired = code.fire(now_ns);
  {
    const kernel::CriticalSection section;
    const sched::Time end = here.now();
    const auto took_ns = static_cast<std::uint64_t>(here.scheduler().running_ran(end) - ran_before);
    code.record(took_ns, static_cast<std::uint64_t>(end) - (fired ? fired->oldest_ns : now_ns));
  }
  if (!fired) {
    run_.note_failure(code, fired.error());
    return;
  }
  if (code.is_source() && at.steps_left != Runner::kForEver) {
    at.steps_left -= 1;
  }
  if (fired->finished) {
    at.steps_left = 0;
  }
  if ((fired->wake_producers | fired->wake_consumers) != 0) {
    notify(at, *fired);
  }
}

[[gnu::always_inline]] inline void Worker::step(std::size_t place, std::uint64_t now_ns) {
  Runner::Place& at = run_.places_[place];
  if ((at.code->is_source() && !source_is_ready(place, now_ns)) || is_stuck(*at.code)) {
    work_ &= ~bit(place);
    return;
  }
  fire(at, now_ns);
}

/// One operator fires, or there is nothing to do for now.
[[gnu::always_inline]] inline void Worker::work() {
  take_raised();
  const auto now_ns = static_cast<std::uint64_t>(threads::dispatcher().now());
  if (now_ns >= due_ns_) [[unlikely]] {
    wake_due_sources(now_ns);
  }
  if (work_ == 0) {
    wait();
    return;
  }
  step(choose(), now_ns);
}

void Worker::run() {
  for (;;) {
    switch (run_.state_.load(std::memory_order_acquire)) {
      case RunState::Running:
        work();
        break;
      case RunState::Paused:
        threads::dispatcher().park();  // resume() and stop() wake it
        break;
      default:
        return;
    }
  }
}

}  // namespace guest::graph
