#include "guest/kernel/trace.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "guest/kernel/critical.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/trace_clock.hpp"

namespace guest::kernel {
namespace {

constexpr unsigned kFirstShift = 32;  ///< of the first argument in Slot::type_and_first

}  // namespace

constinit Trace the_trace;

const TraceDescription& describe(TraceType type) {
  // Not refused: a panic report may find a ring that somebody has written over.
  static constexpr TraceDescription kUnknown = {"unknown", {}};
  const auto index = static_cast<std::size_t>(type);
  return index < abi::trace::kTypes ? abi::trace::kDescriptions[index] : kUnknown;
}

abi::trace::Record to_record(const TraceEvent& event) {
  return {.time_ns = event.time_ns,
          .type = static_cast<std::uint16_t>(event.type),
          .cpu = static_cast<std::uint16_t>(event.cpu),
          .argument0 = static_cast<std::uint32_t>(event.arguments[0]),
          .argument1 = event.arguments[1],
          .argument2 = event.arguments[2]};
}

void write_event(TextOutput& output, const TraceEvent& event) {
  const TraceDescription& description = describe(event.type);
  format_to(output, "time_ns={}  cpu={}  event={}", event.time_ns, event.cpu, description.name);
  for (std::size_t i = 0; i < kTraceArguments; ++i) {
    const TraceArgument& argument = description.arguments[i];
    if (argument.name.empty()) {
      continue;
    }
    format_to(output, "  {}=", argument.name);
    if (argument.hex) {
      format_to(output, "{:#x}", event.arguments[i]);
    } else {
      format_to(output, "{}", event.arguments[i]);
    }
  }
  output.write("\n");
}

bool Trace::reserve(PageAllocator& pages, const Clock& clock, std::uint32_t cpus, std::uint64_t events) {
  require(cpus <= kMaxCpus, "a trace of more CPUs than there are");
  require(std::has_single_bit(events) && events >= abi::trace::kMinEvents && events <= abi::trace::kMaxEvents,
          "a trace of so many events cannot be");
  if (clock_ == nullptr) {
    events_ = events;
  }
  clock_ = &clock;
  const auto order = static_cast<unsigned>(std::countr_zero(events_ * sizeof(Slot) / kPageBytes));
  for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
    Ring& ring = rings_[cpu];
    if (ring.slots.load(std::memory_order_relaxed) != nullptr) {
      continue;
    }
    const auto memory = pages.allocate(order);
    if (!memory) {
      return false;
    }
    Slot* const slots = pages.map().pointer<Slot>(*memory);
    std::uninitialized_default_construct_n(slots, events_);
    ring.mask.store(events_ - 1, std::memory_order_relaxed);
    // Release pairs with the acquires of who records and reads: the slots, the mask and the clock are there.
    ring.slots.store(slots, std::memory_order_release);
  }
  return true;
}

void Trace::record_event(TraceType type, std::uint32_t first, std::uint64_t second, std::uint64_t third) {
  // Masked: an event of a handler in the middle of this one would take the same slot. And the CPU stays the same.
  const CriticalSection section;
  Ring& ring = rings_[cpu_index()];
  Slot* const slots = ring.slots.load(std::memory_order_acquire);
  if (slots == nullptr) {
    return;
  }
  const std::uint64_t number = ring.begun.load(std::memory_order_relaxed);  // only this CPU writes it
  ring.begun.store(number + 1, std::memory_order_relaxed);
  // Pairs with the fence in Ring::read(): who sees anything of this event sees that it has begun.
  std::atomic_thread_fence(std::memory_order_release);
  Slot& slot = slots[number & ring.slot_mask()];
  slot.time_ns.store(trace_now_ns(*clock_), std::memory_order_relaxed);
  slot.type_and_first.store(static_cast<std::uint64_t>(type) | std::uint64_t{first} << kFirstShift,
                            std::memory_order_relaxed);
  slot.second.store(second, std::memory_order_relaxed);
  slot.third.store(third, std::memory_order_relaxed);
  // Release pairs with the acquire in readable(): the event is complete there.
  ring.written.store(number + 1, std::memory_order_release);
}

Trace::Ring::Range Trace::Ring::readable() const {
  const std::uint64_t end = written.load(std::memory_order_acquire);
  const std::uint64_t kept = std::min(end - cleared.load(std::memory_order_relaxed), slot_mask() + 1);
  return {.begin = end - kept, .end = end};
}

bool Trace::Ring::read(std::uint64_t number, TraceEvent& out) const {
  const Slot& slot = slots.load(std::memory_order_acquire)[number & slot_mask()];
  out.time_ns = slot.time_ns.load(std::memory_order_relaxed);
  const std::uint64_t type_and_first = slot.type_and_first.load(std::memory_order_relaxed);
  out.type = static_cast<TraceType>(type_and_first & 0xffff);
  out.arguments[0] = type_and_first >> kFirstShift;
  out.arguments[1] = slot.second.load(std::memory_order_relaxed);
  out.arguments[2] = slot.third.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  // The event of a whole ring later takes the same slot.
  return begun.load(std::memory_order_relaxed) <= number + slot_mask() + 1;
}

void Trace::clear() {
  for (Ring& ring : rings_) {
    ring.cleared.store(ring.written.load(std::memory_order_acquire), std::memory_order_relaxed);
  }
}

bool Trace::has_ring(std::uint32_t cpu) const {
  return cpu < kMaxCpus && rings_[cpu].slots.load(std::memory_order_relaxed) != nullptr;
}

Trace::Fill Trace::fill(std::uint32_t cpu) const {
  const Ring& ring = rings_[cpu];
  const Ring::Range range = ring.readable();
  return {.kept = range.end - range.begin, .overwritten = range.begin - ring.cleared.load(std::memory_order_relaxed)};
}

TraceReader::TraceReader(const Trace& trace) : trace_(trace) {
  for (std::uint32_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    const Trace::Ring::Range range = trace.rings_[cpu].readable();
    cursors_[cpu].begin = range.begin;
    cursors_[cpu].end = range.end;
    size_ += range.end - range.begin;
    advance(cpu);
  }
}

void TraceReader::advance(std::uint32_t cpu) {
  Cursor& cursor = cursors_[cpu];
  cursor.has_event = false;
  if (cursor.begin == cursor.end) {
    return;
  }
  --cursor.end;
  if (!trace_.rings_[cpu].read(cursor.end, cursor.event)) {
    cursor.begin = cursor.end;  // those before it are gone as well
    return;
  }
  cursor.event.cpu = cpu;
  cursor.has_event = true;
}

bool TraceReader::next(TraceEvent& out) {
  std::uint32_t newest = kMaxCpus;
  for (std::uint32_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (cursors_[cpu].has_event &&
        (newest == kMaxCpus || cursors_[cpu].event.time_ns >= cursors_[newest].event.time_ns)) {
      newest = cpu;  // of several with the same time the highest: backwards
    }
  }
  if (newest == kMaxCpus) {
    return false;
  }
  out = cursors_[newest].event;
  advance(newest);
  return true;
}

TraceFollower::TraceFollower(const Trace& trace, From from) : trace_(trace) {
  for (std::uint32_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    const Trace::Ring& ring = trace.rings_[cpu];
    // What was overwritten before is found to be lost when the first event is read.
    cursors_[cpu].at = from == From::Now ? ring.readable().end : ring.cleared.load(std::memory_order_relaxed);
  }
}

void TraceFollower::advance(std::uint32_t cpu) {
  Cursor& cursor = cursors_[cpu];
  for (;;) {
    const Trace::Ring::Range range = trace_.rings_[cpu].readable();
    if (cursor.at < range.begin) {
      lost_ += range.begin - cursor.at;
      cursor.lost += range.begin - cursor.at;
      cursor.at = range.begin;
    }
    if (cursor.at == range.end) {
      return;
    }
    // Overwritten meanwhile: what is the oldest by now is tried next.
    if (trace_.rings_[cpu].read(cursor.at, cursor.event)) {
      break;
    }
  }
  ++cursor.at;
  cursor.event.cpu = cpu;
  cursor.has_event = true;
}

bool TraceFollower::next(TraceEvent& out) {
  std::uint32_t oldest = kMaxCpus;
  for (std::uint32_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (!cursors_[cpu].has_event) {
      advance(cpu);
    }
    if (cursors_[cpu].has_event &&
        (oldest == kMaxCpus || cursors_[cpu].event.time_ns < cursors_[oldest].event.time_ns)) {
      oldest = cpu;
    }
  }
  if (oldest == kMaxCpus) {
    return false;
  }
  out = cursors_[oldest].event;
  cursors_[oldest].has_event = false;
  return true;
}

std::uint64_t TraceFollower::take_lost() { return std::exchange(lost_, 0); }

void write_last_events(TextOutput& output, std::size_t count) {
  TraceEvent events[kMaxLastEvents];
  TraceReader reader(trace());
  std::size_t found = 0;
  while (found < std::min(count, kMaxLastEvents) && reader.next(events[found])) {
    ++found;
  }
  if (found == 0) {
    return;
  }
  format_to(output, "last {} of {} trace events:\n", found, reader.size());
  while (found > 0) {
    output.write("  ");
    write_event(output, events[--found]);
  }
}

}  // namespace guest::kernel
