// What happened on each CPU, and when: a ring of events for each, the oldest overwritten by the newest.
//
//   CPU 0  record() --> [ring 0] --+
//   CPU 1  record() --> [ring 1] --+--> TraceReader: newest first, one order for all CPUs
//
// A ring has one writer, its CPU. It counts an event as begun before it writes it and as written after, so that a
// reader on any CPU knows which of the events that it has copied may have been overwritten meanwhile, and drops them:
// none is torn, and nobody stops or waits for anyone.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "abi/trace.hpp"
#include "guest/kernel/clock.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/page_allocator.hpp"

namespace guest::kernel {

using TraceType = abi::trace::Type;
using TraceArgument = abi::trace::Argument;
using TraceDescription = abi::trace::Description;
inline constexpr std::size_t kTraceArguments = abi::trace::kArguments;
const TraceDescription& describe(TraceType type);

struct TraceEvent {
  std::uint64_t time_ns;
  TraceType type;
  std::uint32_t cpu;
  std::uint64_t arguments[kTraceArguments];
};
abi::trace::Record to_record(const TraceEvent& event);
/// One line: "time_ns=81304  cpu=1  event=irq-enter  intid=27".
void write_event(TextOutput& output, const TraceEvent& event);

/// Off, and without memory, until somebody asks for it.
class Trace {
 public:
  /// Of each CPU, unless reserve() is told otherwise.
  static constexpr std::uint64_t kEvents = abi::trace::kMinEvents;

  constexpr Trace() = default;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Gives each of the CPUs below `cpus` a ring for `events` of 32 bytes, for ever, unless it has one. `events`: a
  /// power of two, abi::trace::kMinEvents to kMaxEvents; only the first call's counts. False: no memory; some may have
  /// one. Events are stamped with `clock`, which must outlive this. From one place at a time.
  [[nodiscard]] bool reserve(PageAllocator& pages, const Clock& clock, std::uint32_t cpus,
                             std::uint64_t events = kEvents);
  /// How many the ring of each CPU keeps, or would.
  [[nodiscard]] std::uint64_t events_per_cpu() const { return events_; }
  void set_on(bool on) { record_groups(on ? abi::trace::kAllGroups : 0); }
  /// Only these from now on. Relaxed: events that are recorded around the change may be kept or not.
  void record_groups(abi::trace::GroupMask groups) {
    frozen_.store(false, std::memory_order_relaxed);
    groups_.store(groups, std::memory_order_relaxed);
  }
  [[nodiscard]] bool on() const { return groups_.load(std::memory_order_relaxed) != 0; }
  /// Off, and what was recorded is all there will be: who follows it ends with the last event.
  void freeze() {
    set_on(false);
    // Release pairs with the acquire in frozen(): the events before are there.
    frozen_.store(true, std::memory_order_release);
  }
  [[nodiscard]] bool frozen() const { return frozen_.load(std::memory_order_acquire); }

  /// Events of this type are recorded: for who has to find out first what to say.
  [[nodiscard]] bool wants(TraceType type) const {
    return (groups_.load(std::memory_order_relaxed) & abi::trace::bit(abi::trace::group_of(type))) != 0;
  }
  /// Adds an event of this CPU; while it is not wanted that costs a load and a branch. From any context.
  void record(TraceType type, std::uint32_t first, std::uint64_t second = 0, std::uint64_t third = 0) {
    if (wants(type)) [[unlikely]] {
      record_event(type, first, second, third);
    }
  }

  /// Forgets what has been recorded so far. Not while somebody reads.
  void clear();

  struct Fill {
    std::uint64_t kept;         ///< events that can be read
    std::uint64_t overwritten;  ///< since clear()
  };
  /// Of one CPU; nothing: it has no ring. From any context.
  [[nodiscard]] bool has_ring(std::uint32_t cpu) const;
  [[nodiscard]] Fill fill(std::uint32_t cpu) const;

 private:
  friend class TraceReader;
  friend class TraceFollower;

  // Words, each atomic, so that a reader may copy what a writer is about to change. Relaxed: the two counts order them.
  struct Slot {
    std::atomic<std::uint64_t> time_ns;
    std::atomic<std::uint64_t> type_and_first;
    std::atomic<std::uint64_t> second;
    std::atomic<std::uint64_t> third;
  };
  static_assert(sizeof(Slot) == 32);

  struct alignas(kCacheLineBytes) Ring {
    std::atomic<Slot*> slots{nullptr};
    std::atomic<std::uint64_t> begun{0};    ///< events whose slots have been touched
    std::atomic<std::uint64_t> written{0};  ///< events that are complete
    std::atomic<std::uint64_t> cleared{0};  ///< events that clear() made forget
    std::atomic<std::uint64_t> mask{0};     ///< of an event's number: its slot. Relaxed: it is there before `slots`

    [[nodiscard]] std::uint64_t slot_mask() const { return mask.load(std::memory_order_relaxed); }

    /// Numbers of the events that can be read.
    struct Range {
      std::uint64_t begin;
      std::uint64_t end;
    };
    [[nodiscard]] Range readable() const;
    /// False: event `number` has been overwritten.
    [[nodiscard]] bool read(std::uint64_t number, TraceEvent& out) const;
  };

  [[gnu::noinline]] void record_event(TraceType type, std::uint32_t first, std::uint64_t second, std::uint64_t third);

  /// A word: a byte costs an instruction more in the way of every switch.
  std::atomic<abi::trace::GroupMask> groups_{0};
  std::atomic<bool> frozen_{false};
  const Clock* clock_ = nullptr;
  std::uint64_t events_ = kEvents;
  Ring rings_[kMaxCpus];
};

/// The events of all CPUs that were there when the reader was made, newest first: by time, of one time by CPU, of one
/// CPU as they were recorded. From any context; takes no lock and allocates nothing.
class TraceReader {
 public:
  explicit TraceReader(const Trace& trace);
  /// How many there were. Fewer are found if they are overwritten before they are read.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// False: there are no more.
  [[nodiscard]] bool next(TraceEvent& out);

 private:
  struct Cursor {
    std::uint64_t begin = 0;  ///< numbers of the events that are left
    std::uint64_t end = 0;
    bool has_event = false;
    TraceEvent event{};  ///< of this CPU, the next one
  };
  void advance(std::uint32_t cpu);

  const Trace& trace_;
  std::uint64_t size_ = 0;
  Cursor cursors_[kMaxCpus];
};

/// The events of all CPUs from when the follower was made on, or all that are kept and those, oldest first as far as
/// they are there: one that its CPU is still writing comes after younger ones of other CPUs. From any context; takes no
/// lock and allocates nothing.
class TraceFollower {
 public:
  enum class From : std::uint8_t { Now, Start };
  explicit TraceFollower(const Trace& trace, From from = From::Now);
  /// False: there are no more for now.
  [[nodiscard]] bool next(TraceEvent& out);
  /// How many were overwritten, or cleared, before they were read; since the last call.
  [[nodiscard]] std::uint64_t take_lost();
  /// The same of one CPU below kMaxCpus, since the follower was made.
  [[nodiscard]] std::uint64_t lost(std::uint32_t cpu) const { return cursors_[cpu].lost; }

 private:
  struct Cursor {
    std::uint64_t at = 0;  ///< number of the event behind `event`, or of the next one
    std::uint64_t lost = 0;
    bool has_event = false;
    TraceEvent event{};
  };
  void advance(std::uint32_t cpu);

  const Trace& trace_;
  std::uint64_t lost_ = 0;
  Cursor cursors_[kMaxCpus];
};

/// The kernel's.
extern constinit Trace the_trace;
inline Trace& trace() { return the_trace; }

/// Most events that write_last_events() shows.
inline constexpr std::size_t kMaxLastEvents = 32;
/// Writes the newest `count` events of the kernel's trace, at most kMaxLastEvents, oldest first, under a heading;
/// nothing where none was recorded. For the panic report: takes no lock, and does not care what the other CPUs do.
void write_last_events(TextOutput& output, std::size_t count);

}  // namespace guest::kernel
