// Events of the trace as they are recorded.
#include <algorithm>

#include "guest/kernel/trace.hpp"
#include "subscription.hpp"

namespace guest::control {

namespace {

constexpr std::uint64_t kIntervalMs = 100;
/// Of the trace, in one event: sending one makes some of its own, which must not be as many as it holds.
constexpr std::size_t kBatch = 64;

/// Looks from time to time: to be woken by each event would make events without end.
class TraceWatch final : public RingSubscription {
 public:
  TraceWatch(Services& services, const Limits& limits)
      : RingSubscription(services, limits), follower_(services.trace) {}

 private:
  bool send_next() override {
    const std::size_t wanted = std::min<std::uint64_t>(left(), kBatch);
    std::size_t found = 0;
    while (found < wanted && follower_.next(batch_[found])) {
      ++found;
    }
    lose(follower_.take_lost());
    if (found == 0) {
      return false;
    }
    const auto write = [&](ResultMap& event) {
      CborWriter& writer = event.key_for("events");
      writer.array(found);
      for (std::size_t i = 0; i < found; ++i) {
        add_trace_event(writer, batch_[i]);
      }
    };
    return send(write, found) && found == kBatch;
  }

  kernel::TraceFollower follower_;
  kernel::TraceEvent batch_[kBatch];
};

}  // namespace

HandlerResult handle_watch_trace(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  if (!services.trace.on()) {
    return refuse(abi::control::error::kFailed, "", "the trace is off; 'trace on' begins it");
  }
  return subscribe<TraceWatch>(services, caller, Subscription::limits_of(arguments, kIntervalMs));
}

void render_trace_events(kernel::TextOutput& output, const CborValue& event) {
  if (const auto lost = find_cbor(event, "lost")) {
    kernel::format_to(output, "({} lost)\n", lost->number);
  }
  CborItems items(*find_cbor(event, "events"));
  while (const auto item = items.next()) {
    render_beside(output, *item);
  }
}

}  // namespace guest::control
