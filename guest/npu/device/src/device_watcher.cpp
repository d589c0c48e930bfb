// The watcher: looks while jobs are in flight, at longer and longer intervals where nothing happens.
//
// How long is too long? A job takes what the host takes for it, not what the model says. So it is the device's progress
// that is judged: none of its jobs has ended for so long, by the guest's clock and by the device's. The guest's alone
// jumps under deterministic time; the device's alone goes on while the machine is paused.
#include <algorithm>

#include "guest/kernel/format.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/npu/device/device_accelerator.hpp"
#include "guest/npu/metrics.hpp"

namespace guest::npu {
namespace {

/// A device whose clock does not move is believed by the guest's alone after so many times as long.
constexpr std::uint64_t kClockIsWrong = 1000;

std::uint64_t now_ns() { return threads::dispatcher().timers().clock().now_ns(); }

}  // namespace

void DeviceAccelerator::watch() {
  std::uint64_t until_ns = threads::kForever;
  while (!threads::current_thread().stop_requested()) {
    (void)watcher_.wait(until_ns);  // whatever ended it, look() looks at everything
    until_ns = look();
  }
}

/// Returns when to look next.
std::uint64_t DeviceAccelerator::look() {
  look_at_device();
  const bool aborts_wait = retry_aborts();
  find_lost_interrupt();
  const std::uint64_t next_ns = look_for_stall();
  return aborts_wait ? std::min(next_ns, now_ns() + kSettleNs) : next_ns;
}

void DeviceAccelerator::look_at_device() {
  bool broken = false;
  {
    const kernel::SpinGuard guard(lock_);
    broken = broken_ != nullptr && state_ != State::Failed;
  }
  if (broken) {
    const threads::MutexGuard guard(mutex_);
    give_up();
  } else if (config_changed_.exchange(false, std::memory_order_relaxed) && transport_.needs_reset()) {
    const threads::MutexGuard guard(mutex_);
    recover("the device asked for a reset");
  }
}

/// True: the device still does not know a job that is to be aborted.
bool DeviceAccelerator::retry_aborts() {
  std::array<std::uint64_t, kMaxJobs> ids;
  std::size_t count = 0;
  {
    const kernel::SpinGuard guard(lock_);
    for (const Place& place : places_) {
      if (place.job != nullptr && place.abort) {
        ids[count++] = place.expected.id;
      }
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    const threads::MutexGuard guard(mutex_);
    request_abort(ids[i]);
  }
  const kernel::SpinGuard guard(lock_);
  return std::ranges::any_of(places_, [](const Place& place) { return place.job != nullptr && place.abort; });
}

/// Nothing: no result waits to be taken. Else a number that changes when one is.
std::optional<std::uint64_t> DeviceAccelerator::waiting_result() {
  const kernel::SpinGuard guard(lock_);
  const bool listens = state_ != State::Down && state_ != State::Failed && broken_ == nullptr;
  return listens && queues_.has_job() ? std::optional(ended_) : std::nullopt;
}

/// Results are there, and no interrupt has told of them: it may be on its way, so it gets time.
void DeviceAccelerator::find_lost_interrupt() {
  const auto waits = waiting_result();
  if (!waits) {
    return;
  }
  (void)threads::sleep_for(kSettleNs);
  for (unsigned i = 0; i < patience_.settle_looks; ++i) {
    if (waiting_result() != waits) {
      return;
    }
    (void)transport_.needs_reset();  // takes time
  }
  metrics().lost_interrupts.add();
  kernel::log_error("npu: an interrupt was lost: results were there without one");
  service();
}

/// Returns when to look next.
std::uint64_t DeviceAccelerator::look_for_stall() {
  const std::uint64_t now = now_ns();
  {
    const kernel::SpinGuard guard(lock_);
    const bool progress = std::exchange(seen_ended_, ended_) != ended_;
    if (state_ == State::Failed || (places_used_ == 0 && !progress)) {
      watching_ = false;
      look_ns_ = 0;
      return threads::kForever;
    }
    if (places_used_ == 0 || progress || look_ns_ == 0) {
      stall_.reset();
      look_ns_ = kFirstLookNs;
      return now + look_ns_;
    }
  }
  judge_stall(now);
  look_ns_ = std::min(2 * look_ns_, kLongestLookNs);
  return now_ns() + look_ns_;
}

/// No job has ended since the last look.
void DeviceAccelerator::judge_stall(std::uint64_t now) {
  const threads::MutexGuard guard(mutex_);
  if (power_ == abi::npu::Power::Gated) {
    stall_.reset();  // jobs wait, as was asked for
    return;
  }
  Stall moment{.since_ns = now};
  Answer answer = query();
  if (answer == Answer::Good) {
    answer = count_commands(moment.commands);
  }
  switch (answer) {
    case Answer::Good:
      moment.since_device_ns = device_ns_;
      return judge_moment(moment);
    case Answer::Silence:
      return recover("the device was asked how far it is and did not answer");
    case Answer::Nonsense:
      return give_up();
  }
}

/// With mutex_.
void DeviceAccelerator::judge_moment(const Stall& moment) {
  std::uint64_t longest = 0;
  std::uint64_t commands = 0;
  {
    const kernel::SpinGuard lock(lock_);
    for (const Place& place : places_) {
      if (place.job != nullptr) {
        longest = std::max(longest, place.expected.cycles);
        commands += place.expected.commands;
      }
    }
  }
  if (!stall_) {
    stall_ = moment;
    return;
  }
  // Not for ever: there are only so many commands for it to run.
  if (moment.commands != stall_->commands && stall_->moved < commands) {
    const std::uint64_t moved = stall_->moved + 1;
    stall_ = moment;
    stall_->moved = moved;
    return;
  }
  const std::uint64_t allowed = kStallNs + kStallFactor * static_cast<std::uint64_t>(nanoseconds(longest));
  const std::uint64_t passed = moment.since_ns - stall_->since_ns;
  const std::uint64_t passed_device =
      moment.since_device_ns - std::min(moment.since_device_ns, stall_->since_device_ns);
  if (passed > allowed && (passed_device > allowed || passed / kClockIsWrong > allowed)) {
    stall_.reset();
    abort_what_stalls();
  }
}

/// The job that the device must be at: the oldest of those with the highest priority. With mutex_.
void DeviceAccelerator::abort_what_stalls() {
  std::uint64_t id = 0;
  bool again = false;
  {
    const kernel::SpinGuard guard(lock_);
    Place* worst = nullptr;
    for (Place& place : places_) {
      const auto is_first = [](const Place& a, const Place& b) {
        const unsigned priority_a = header(*a.job).priority;
        const unsigned priority_b = header(*b.job).priority;
        return priority_a != priority_b ? priority_a > priority_b : a.number < b.number;
      };
      if (place.job != nullptr && (worst == nullptr || is_first(place, *worst))) {
        worst = &place;
      }
    }
    if (worst == nullptr) {
      return;
    }
    id = worst->expected.id;
    again = std::exchange(worst->overdue, true);
  }
  if (again) {
    return recover("a job that was aborted did not end");
  }
  metrics().overdue.add();
  kernel::log_error("npu: job {} makes no progress and is aborted", id);
  request_abort(id);
}

}  // namespace guest::npu
