// How a run has ended in which nobody can do anything any more.
#include <algorithm>

#include "guest/graph/run/runner.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::graph {
namespace {

bool is_full(const Channel& channel) {
  return channel.policy() == ChannelPolicy::Block && channel.depth() == channel.capacity();
}

}  // namespace

/// The channel that keeps an operator from firing: null, none does.
const Channel* Runner::stuck_on(const Operator& of) {
  for (const Channel* const input : of.inputs()) {
    if (input->depth() == 0 && !of.goes_on()) {
      return input;
    }
  }
  for (const Channel* const output : of.outputs()) {
    if (is_full(*output)) {
      return output;
    }
  }
  return nullptr;
}

/// It has something that it cannot go on with, or a source has more to give than there is room for.
bool Runner::was_left_waiting(const Place& place) {
  const Operator& of = *place.code;
  if (of.is_source()) {
    return place.steps_left != 0 && stuck_on(of) != nullptr;
  }
  return of.goes_on() || std::ranges::any_of(of.inputs(), [](const Channel* input) { return input->depth() != 0; });
}

/// Nobody can fire. Follows who waits for whom, from somebody who was left waiting: where somebody is met twice there
/// is a ring; else the chain ends with a source that has come to its end.
RunEnd Runner::judge() {
  const bool draining = draining_.load(std::memory_order_relaxed);
  for (const Place& place : places_) {
    if (place.code->is_source() && place.steps_left != 0 && !draining && stuck_on(*place.code) == nullptr) {
      return RunEnd::None;  // asleep until somebody feeds it
    }
  }
  const auto waiting = std::ranges::find_if(places_, [](const Place& place) { return was_left_waiting(place); });
  if (waiting == places_.end() || (draining && waiting->code->is_source())) {
    return RunEnd::Finished;
  }
  const Operator* at = waiting->code;
  for (std::size_t hops = 0; hops <= places_.size(); ++hops) {
    kernel::require(stuck_on(*at) != nullptr, "an operator of a graph could fire, and nobody knows");
    const Channel& stuck = *stuck_on(*at);
    const Operator& next = is_full(stuck) ? *graph_.consumer_of(stuck) : *graph_.producer_of(stuck);
    if (stuck_on(next) == nullptr || (draining && next.is_source())) {
      why_.clear();
      kernel::format_to(why_, "operator '{}' waits for channel {}, which '{}' will not {}", at->name(), stuck.id(),
                        next.name(), is_full(stuck) ? "empty" : "fill");
      return RunEnd::Starved;
    }
    at = &next;
  }
  describe_ring(*at);
  return RunEnd::Deadlock;
}

/// From an operator in the ring back to it.
void Runner::describe_ring(const Operator& first) {
  why_.clear();
  const Operator* at = &first;
  do {
    const Channel& stuck = *stuck_on(*at);
    const bool full = is_full(stuck);
    kernel::format_to(why_, "{}'{}' waits for {} channel {}", at == &first ? "" : ", ", at->name(),
                      full ? "room in" : "a tensor in", stuck.id());
    at = full ? graph_.consumer_of(stuck) : graph_.producer_of(stuck);
  } while (at != &first);
}

}  // namespace guest::graph
