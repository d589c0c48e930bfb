#include "subscription.hpp"

#include <algorithm>
#include <array>

namespace guest::control {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;

/// The body of an event is built here, one at a time: a request id and it are a frame's payload.
std::array<std::byte, abi::control::kMaxPayloadBytes - sizeof(std::uint32_t)> event_body;

}  // namespace

std::span<std::byte> Subscription::event_memory() { return event_body; }

Subscription::Limits Subscription::limits_of(const Arguments& arguments, std::uint64_t interval_ms) {
  return {.interval_ns = arguments.number("interval_ms", interval_ms) * kNsPerMs,
          .count = arguments.number("count", kEndless)};
}

void Subscription::start(Caller& caller) {
  caller_ = &caller;
  caller.defer(*this);
  due_ns_ = services_.clock.now_ns();
  wake();
}

void Subscription::cancel() { (void)detach(); }

/// Nobody wakes it any more, but for this once: whether the item was raised already or is now, it runs, and frees this.
Caller* Subscription::detach() {
  on_end();
  services_.timers.cancel(timer_);
  services_.work.raise(turn_);
  return std::exchange(caller_, nullptr);
}

bool Subscription::can_send() { return end_.empty() && left() != 0 && caller_->has_room(); }

bool Subscription::emit(const CborWriter& writer, std::uint64_t items) {
  if (writer.overflowed() || !caller_->emit(writer.written())) {
    lose(items);
    return false;
  }
  sent_ += items;
  untold_ = 0;
  return true;
}

void Subscription::turn() {
  if (caller_ == nullptr) {
    delete this;
    return;
  }
  const std::uint64_t now_ns = services_.clock.now_ns();
  const bool due = limits_.interval_ns != 0 && now_ns >= due_ns_;
  if (due) {
    arm(now_ns);
  }
  if (end_.empty()) {
    on_turn(due);
  }
  if (!end_.empty() || left() == 0) {
    answer();
  }
}

/// In step with the turns before, unless one is missed.
void Subscription::arm(std::uint64_t now_ns) {
  due_ns_ = std::max(due_ns_ + limits_.interval_ns, now_ns);
  services_.timers.arm(timer_, due_ns_);
}

void Subscription::answer() {
  std::byte memory[64];
  CborWriter writer(memory);
  ResultMap result(writer);
  result.add("events", sent_);
  result.add("lost", lost_);
  result.add("end", end_.empty() ? "count" : end_);
  result.finish();
  detach()->complete(writer.written());
}

void RingSubscription::on_turn(bool /*due*/) {
  unsigned sent = 0;
  while (sent < kEventsPerTurn && can_send() && send_next()) {
    ++sent;
  }
  if (sent == kEventsPerTurn) {
    wake();
  }
}

}  // namespace guest::control
