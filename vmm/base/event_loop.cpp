#include "vmm/base/event_loop.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace vmm {
namespace {

short poll_events(Interest interest) {
  const auto bits = static_cast<unsigned>(interest);
  short events = 0;
  if ((bits & static_cast<unsigned>(Interest::Read)) != 0) events = static_cast<short>(events | POLLIN);
  if ((bits & static_cast<unsigned>(Interest::Write)) != 0) events = static_cast<short>(events | POLLOUT);
  return events;
}

/// poll() ignores entries with a negative descriptor, so an entry of no interest keeps its place but costs no event.
pollfd poll_entry(int fd, Interest interest) {
  return {interest == Interest::None ? -1 : fd, poll_events(interest), 0};
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  auto wake = Notifier::create();
  if (!wake) return std::unexpected(std::move(wake.error()).because_of("cannot make an event loop"));
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(*wake)));
}

EventLoop::EventLoop(Notifier wake) : wake_(std::move(wake)) {}

EventLoop::~EventLoop() = default;

void EventLoop::add(int fd, Interest interest, FdCallback callback) {
  assert(fd >= 0);
  [[maybe_unused]] const bool added =
      watches_
          .emplace(fd, Watch{interest, kNoSlot, next_generation_++, std::make_shared<FdCallback>(std::move(callback))})
          .second;
  assert(added);
  poll_list_stale_ = true;
}

void EventLoop::modify(int fd, Interest interest) {
  const auto found = watches_.find(fd);
  assert(found != watches_.end());
  if (found == watches_.end() || found->second.interest == interest) return;
  found->second.interest = interest;
  if (found->second.slot == kNoSlot) return;  // enters the list at the start of the next round
  const pollfd entry = poll_entry(fd, interest);
  poll_list_[found->second.slot].fd = entry.fd;
  poll_list_[found->second.slot].events = entry.events;
}

void EventLoop::remove(int fd) {
  if (watches_.erase(fd) != 0) poll_list_stale_ = true;
}

EventLoop::TimerId EventLoop::add_timer(Clock::duration delay, std::function<void()> callback) {
  const TimerId id = next_timer_++;
  const auto place = timer_queue_.emplace(Clock::now() + std::max(delay, Clock::duration::zero()), id);
  timers_.emplace(id, Timer{place, std::move(callback)});
  return id;
}

void EventLoop::cancel_timer(TimerId id) {
  const auto found = timers_.find(id);
  if (found == timers_.end()) return;
  timer_queue_.erase(found->second.place);
  timers_.erase(found);
}

void EventLoop::post(std::function<void()> work) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (first) wake_.signal();
}

void EventLoop::defer(std::function<void()> work) { deferred_.push_back(std::move(work)); }

void EventLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.signal();
}

Result<> EventLoop::run() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopping_, false)) return {};
    }
    if (auto done = run_once(std::chrono::milliseconds(-1)); !done) return done;
  }
}

Result<> EventLoop::run_once(std::chrono::milliseconds timeout) {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);  // see in_loop_thread()
  if (poll_list_stale_) rebuild_poll_list();
  const int ready = ::poll(poll_list_.data(), static_cast<nfds_t>(poll_list_.size()), poll_timeout_ms(timeout));
  if (ready < 0 && errno != EINTR)
    return fail_errno("cannot poll " + std::to_string(poll_list_.size()) + " descriptors");
  if (ready > 0) run_descriptors();
  run_timers();
  run_posted();
  run_deferred();
  return {};
}

void EventLoop::rebuild_poll_list() {
  poll_list_.assign(1, {wake_.fd(), POLLIN, 0});
  slots_.assign(1, {wake_.fd(), 0});
  for (auto& [fd, watch] : watches_) {
    watch.slot = poll_list_.size();
    poll_list_.push_back(poll_entry(fd, watch.interest));
    slots_.push_back({fd, watch.generation});
  }
  poll_list_stale_ = false;
}

int EventLoop::poll_timeout_ms(std::chrono::milliseconds limit) const {
  using std::chrono::milliseconds;
  if (!deferred_.empty()) return 0;
  constexpr milliseconds kLongest{std::numeric_limits<int>::max()};
  if (limit.count() >= 0) limit = std::min(limit, kLongest);
  if (timer_queue_.empty()) return limit.count() < 0 ? -1 : static_cast<int>(limit.count());
  // Rounded up: waking a little early would spin until the timer is due.
  const auto until = std::chrono::ceil<milliseconds>(timer_queue_.begin()->first - Clock::now());
  const auto wait = std::clamp(until, milliseconds::zero(), kLongest);
  return static_cast<int>((limit.count() < 0 ? wait : std::min(wait, limit)).count());
}

void EventLoop::run_descriptors() {
  // Callbacks change what is polled for next, never what was seen; entries move only between rounds.
  if (poll_list_[0].revents != 0) wake_.drain();
  for (std::size_t i = 1; i < poll_list_.size(); ++i) {
    const short seen = poll_list_[i].revents;
    if (seen == 0) continue;
    const auto found = watches_.find(slots_[i].fd);
    if (found == watches_.end() || found->second.generation != slots_[i].generation) continue;
    if (found->second.interest == Interest::None) continue;
    const Events events{.readable = (seen & POLLIN) != 0,
                        .writable = (seen & POLLOUT) != 0,
                        .hangup = (seen & POLLHUP) != 0,
                        .error = (seen & (POLLERR | POLLNVAL)) != 0};
    const auto callback = found->second.callback;  // keeps it alive if it removes itself
    (*callback)(events);
  }
}

void EventLoop::run_timers() {
  if (timer_queue_.empty()) return;
  // Only what was due when the round began, so that a timer that re-arms itself with no delay starves nobody.
  const auto now = Clock::now();
  const TimerId newest = next_timer_;
  while (!timer_queue_.empty() && timer_queue_.begin()->first <= now) {
    const TimerId id = timer_queue_.begin()->second;
    if (id >= newest) break;
    auto timer = timers_.extract(id);
    timer_queue_.erase(timer_queue_.begin());
    timer.mapped().callback();
  }
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& item : work) item();
}

void EventLoop::run_deferred() {
  std::vector<std::function<void()>> work;
  work.swap(deferred_);
  for (auto& item : work) item();
}

}  // namespace vmm
