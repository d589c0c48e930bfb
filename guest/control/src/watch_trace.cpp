// Events of the trace as they are recorded.
#include <algorithm>
#include <cstring>
#include <span>

#include "guest/kernel/trace.hpp"
#include "subscription.hpp"

namespace guest::control {

namespace {

constexpr std::uint64_t kIntervalMs = 100;
/// Of the trace, in one event: sending one makes some of its own, which must not be as many as it holds.
constexpr std::size_t kBatch = 64;

/// As records, which are small beside what sending them records.
constexpr std::size_t kRawBatch = 1024;

/// Looks from time to time: to be woken by each event would make events without end.
class TraceFollow : public RingSubscription {
 protected:
  TraceFollow(Services& services, const Limits& limits, kernel::TraceFollower::From from)
      : RingSubscription(services, limits), follower_(services.trace, from) {}
  ~TraceFollow() override = default;

  /// Of the next `most` events, or as many as are wanted, each goes to `take`. Sends those that there were, or that
  /// there will be no more; `write` adds them to the event.
  template <typename Take, typename Write>
  bool send_batch(std::size_t most, Take&& take, Write&& write) {
    // Asked first: what was recorded before it was frozen is found then.
    const bool frozen = services().trace.frozen();
    const std::size_t wanted = std::min<std::uint64_t>(left(), most);
    std::size_t found = 0;
    for (kernel::TraceEvent event{}; found < wanted && follower_.next(event); ++found) {
      take(found, event);
    }
    lose(follower_.take_lost());
    const bool last = frozen && found < wanted;
    if (found == 0 && !last) {
      return false;
    }
    const auto write_all = [&](ResultMap& event) {
      write(event, found);
      if (last) {
        event.add_bool("frozen", true);
      }
    };
    const bool sent = send(write_all, found);
    if (last) {
      end_as("frozen");
    }
    return sent && found == most;
  }

  kernel::TraceFollower follower_;
};

class TraceWatch final : public TraceFollow {
 public:
  TraceWatch(Services& services, const Limits& limits, kernel::TraceFollower::From from)
      : TraceFollow(services, limits, from) {}

 private:
  bool send_next() override {
    return send_batch(
        kBatch, [&](std::size_t i, const kernel::TraceEvent& event) { batch_[i] = event; },
        [&](ResultMap& event, std::size_t found) {
          CborWriter& writer = event.key_for("events");
          writer.array(found);
          for (std::size_t i = 0; i < found; ++i) {
            add_trace_event(writer, batch_[i]);
          }
        });
  }

  kernel::TraceEvent batch_[kBatch];
};

/// For programs: abi::trace::Record, one behind the other.
class RawTraceWatch final : public TraceFollow {
 public:
  RawTraceWatch(Services& services, const Limits& limits, kernel::TraceFollower::From from)
      : TraceFollow(services, limits, from) {
    tell_all_lost();
  }

 private:
  bool send_next() override {
    return send_batch(
        kRawBatch, [&](std::size_t i, const kernel::TraceEvent& event) { batch_[i] = kernel::to_record(event); },
        [&](ResultMap& event, std::size_t found) {
          event.key_for("records").bytes(std::as_bytes(std::span(batch_).first(found)));
          CborWriter& writer = event.key_for("lost_by_cpu");
          const std::uint32_t cpus = services().cpus.count();
          writer.array(cpus);
          for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
            writer.number(follower_.lost(cpu));
          }
        });
  }

  abi::trace::Record batch_[kRawBatch];
};

}  // namespace

HandlerResult handle_watch_trace(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  const bool from_start = arguments.flag("from_start");
  if (!services.trace.on() && !from_start) {
    return refuse(abi::control::error::kFailed, "", "the trace is off; 'trace on' begins it");
  }
  using From = kernel::TraceFollower::From;
  const From from = from_start ? From::Start : From::Now;
  const Subscription::Limits limits = Subscription::limits_of(arguments, kIntervalMs);
  return arguments.flag("raw") ? subscribe<RawTraceWatch>(services, caller, limits, from)
                               : subscribe<TraceWatch>(services, caller, limits, from);
}

namespace {

/// As the text of events has them.
void render_records(kernel::TextOutput& output, std::span<const std::byte> bytes) {
  for (; bytes.size() >= sizeof(abi::trace::Record); bytes = bytes.subspan(sizeof(abi::trace::Record))) {
    abi::trace::Record record{};
    std::memcpy(&record, bytes.data(), sizeof(record));
    kernel::write_event(output, {.time_ns = record.time_ns,
                                 .type = static_cast<kernel::TraceType>(record.type),
                                 .cpu = record.cpu,
                                 .arguments = {record.argument0, record.argument1, record.argument2}});
  }
}

}  // namespace

void render_trace_events(kernel::TextOutput& output, const CborValue& event) {
  if (const auto lost = find_cbor(event, "lost"); lost && lost->number != 0) {
    kernel::format_to(output, "({} lost)\n", lost->number);
  }
  if (const auto records = find_cbor(event, "records")) {
    render_records(output, records->content);
  }
  if (const auto events = find_cbor(event, "events")) {
    CborItems items(*events);
    while (const auto item = items.next()) {
      render_beside(output, *item);
    }
  }
  if (find_cbor(event, "frozen")) {
    output.write("(frozen: there will be no more)\n");
  }
}

}  // namespace guest::control
