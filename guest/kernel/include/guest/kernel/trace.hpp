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

#include "guest/kernel/clock.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/page_allocator.hpp"

namespace guest::kernel {

/// In the order of the table of names in trace.cpp, which also says what the arguments are.
enum class TraceType : std::uint16_t {
  ThreadSwitch,    ///< from thread, to thread
  ThreadWake,      ///< thread, its CPU
  ThreadBlock,     ///< thread
  Throttle,        ///< server, until when, how far its budget is overrun
  Replenish,       ///< server, new deadline, new budget
  DeadlineMiss,    ///< server, the deadline, how long ago it was
  InterruptEnter,  ///< INTID
  InterruptExit,   ///< INTID
  IpiSend,         ///< target CPU, arch::Ipi
  UserFault,       ///< thread, address, syndrome
  Syscall,         ///< thread, number
  WorkBegin,       ///< none; the item's function
  WorkEnd,         ///< none; the item's function
  NpuSubmit,       ///< server or 0, job, priority
  NpuRan,          ///< how often others went first, job, from its first command until its last
  NpuEnd,          ///< abi::npu::Status, job, modelled cycles
  LlmSubmit,       ///< priority, request, tokens that it may say
  LlmStep,         ///< tokens that went in, request, the job of the NPU
  LlmToken,        ///< how many of its answer have come, request, when by the budgets' clock
  LlmEnd,          ///< llm::StopReason, request, tokens that came out
};

inline constexpr std::size_t kTraceArguments = 3;

struct TraceArgument {
  std::string_view name;  ///< empty: the events of this type have no such argument
  bool hex = false;       ///< an address or a register, to be shown in hexadecimal
};
struct TraceDescription {
  std::string_view name;  ///< "irq-enter"
  TraceArgument arguments[kTraceArguments];
};
const TraceDescription& describe(TraceType type);

struct TraceEvent {
  std::uint64_t time_ns;
  TraceType type;
  std::uint32_t cpu;
  std::uint64_t arguments[kTraceArguments];
};
/// One line: "time_ns=81304  cpu=1  event=irq-enter  intid=27".
void write_event(TextOutput& output, const TraceEvent& event);

/// Off, and without memory, until somebody asks for it.
class Trace {
 public:
  /// Of each CPU; a power of two.
  static constexpr std::uint64_t kEvents = 4096;

  constexpr Trace() = default;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Gives each of the CPUs below `cpus` a ring of 128 KiB, for ever, unless it has one. False: no memory; some may
  /// have one. Events are stamped with `clock`, which must outlive this. From one place at a time.
  [[nodiscard]] bool reserve(PageAllocator& pages, const Clock& clock, std::uint32_t cpus);
  // Relaxed: events that are recorded around the change may be kept or not.
  void set_on(bool on) { on_.store(on ? 1 : 0, std::memory_order_relaxed); }
  [[nodiscard]] bool on() const { return on_.load(std::memory_order_relaxed) != 0; }

  /// Adds an event of this CPU; while tracing is off that costs a load and a branch. From any context.
  void record(TraceType type, std::uint32_t first, std::uint64_t second = 0, std::uint64_t third = 0) {
    if (on()) [[unlikely]] {
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

  std::atomic<std::uint32_t> on_{0};  ///< a word: a byte costs an instruction more in the way of every switch
  const Clock* clock_ = nullptr;
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

/// The events of all CPUs from when the follower was made on, oldest first as far as they are there: one that its CPU
/// is still writing comes after younger ones of other CPUs. From any context; takes no lock and allocates nothing.
class TraceFollower {
 public:
  explicit TraceFollower(const Trace& trace);
  /// False: there are no more for now.
  [[nodiscard]] bool next(TraceEvent& out);
  /// How many were overwritten, or cleared, before they were read; since the last call.
  [[nodiscard]] std::uint64_t take_lost();

 private:
  struct Cursor {
    std::uint64_t at = 0;  ///< number of the event behind `event`, or of the next one
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
