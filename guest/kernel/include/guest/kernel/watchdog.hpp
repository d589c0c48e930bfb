// A watchdog for every CPU: each CPU has a heartbeat, and each looks after the next one's.
//
//   CPU 0 --looks after--> CPU 1 --> CPU 2 --> ... --> CPU 0
//
// A heartbeat is a timer's interrupt, so it stops when a CPU takes no interrupts any more: they are masked without end,
// or a handler does not return. Some CPU that lives is right before one that does not, as long as any lives. Age is
// counted in beats of the CPU that looks, not read off the clock: when the host stops the whole machine, or restores
// it from a file, the clock may have gone on for hours, and that is one missed beat.
//
// The kernel has no tick, and an idle guest whose clock jumps to its next timer (icount) would run through the years if
// it always had one. So a machine that is idle rests: a CPU that has slept from one beat to the next is quiet, and the
// CPU that finds all of them quiet stops its own heartbeat.
//
//             beat                 the next beat ends its sleep         all are quiet
//   Active --------> Beaten --------------------------------> Quiet ---------------> its timer stands
//      ^  <------------'  sleep ends otherwise                  |
//      '--------------------------------------------------------'  sleep ends otherwise; if all were quiet: rouses them
//
// Only the idle thread marks its CPU quiet, with interrupts masked, right before it sleeps again, and the first thing
// that it does awake is to take that back: from there on others look, before any handler runs.
#pragma once

#include <atomic>
#include <cstdint>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/timer.hpp"

namespace guest::kernel {

/// Counts how often `period` has passed since reset(), as far as whoever asks has seen it pass: however late it asks,
/// that is once. For waits that must not take a machine that stood still for a long wait.
class SeenPeriods {
 public:
  /// In any unit, that of `now`.
  constexpr SeenPeriods(std::uint64_t period, std::uint64_t now) : period_(period), since_(now) {}
  /// Periods seen, with the one that may have ended at `now`.
  constexpr unsigned at(std::uint64_t now) {
    if (now - since_ >= period_) {
      since_ = now;
      ++seen_;
    }
    return seen_;
  }

 private:
  std::uint64_t period_;
  std::uint64_t since_;
  unsigned seen_ = 0;
};

/// A CPU's heartbeat, as others see it.
struct Heartbeat {
  std::uint64_t beats = 0;
  std::uint64_t last_ns = 0;  ///< of the last beat, or of the end of a rest since; 0: none yet
};

class Watchdog {
 public:
  /// Often enough to find a dead CPU while somebody still wants to know, and so rarely that it costs nothing: some
  /// hundred instructions a second.
  static constexpr std::uint64_t kPeriodNs = 1'000'000'000;
  /// Nothing in this kernel masks interrupts for more than milliseconds; but a host that is short of processors may not
  /// run a CPU for seconds while it runs another one.
  static constexpr unsigned kMaxMissed = 10;

  struct Actions {
    /// Interrupts a CPU that sleeps. Interrupts masked.
    void (*rouse)(std::uint32_t cpu);
    /// `cpu` has not beaten for kMaxMissed beats of this CPU, and last did `silent_ns` ago. Does not return in the
    /// kernel.
    void (*silent)(std::uint32_t cpu, std::uint64_t silent_ns);
  };
  explicit constexpr Watchdog(Actions actions) : actions_(actions) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// The CPUs of the mask `members` are looked after, when each has joined. Once. With one alone there is nobody to
  /// look, and none has a heartbeat.
  void start(std::uint32_t members) { members_.store(members, std::memory_order_release); }
  /// This CPU's heart beats from now on. On each member, once, interrupts masked. `timers` are this CPU's.
  void join(TimerQueue& timers);

  /// The idle thread's, after each sleep (WFI), interrupts still masked. True: only the heartbeat was due, it has been
  /// given, and the CPU can sleep again; whatever else has ended the sleep still pends and ends the next one.
  bool beat_in_idle() { return here().phase != Phase::Active && end_sleep(); }

  /// From any context.
  [[nodiscard]] Heartbeat heartbeat(std::uint32_t cpu) const;

 private:
  enum class Phase : std::uint8_t { Active, Beaten, Quiet };
  /// Its CPU's own, but for what is atomic: that anyone reads, relaxed, as it orders nothing.
  struct alignas(kCacheLineBytes) PerCpu {
    std::atomic<std::uint64_t> beats{0};
    std::atomic<std::uint64_t> last_ns{0};
    TimerQueue* timers = nullptr;
    std::uint64_t next_ns = 0;  ///< when its timer is due
    std::uint64_t seen = 0;     ///< beats of the CPU that this one looks after
    unsigned missed = 0;        ///< beats of this CPU since it last saw one
    Phase phase = Phase::Active;
  };

  PerCpu& here() { return cpus_[cpu_index()]; }
  static void on_timer(void* self);
  void beat(std::uint64_t now_ns);
  void arm(std::uint64_t now_ns);
  void look_after_next(std::uint64_t now_ns);
  bool end_sleep();
  void become_quiet();
  void become_active(std::uint64_t now_ns);

  Actions actions_;
  std::atomic<std::uint32_t> members_{0};
  /// A bit for each CPU that is quiet. All changes are read-modify-writes of this one word, so of a CPU that completes
  /// it and one that takes its bit back, one comes second and sees the other's.
  std::atomic<std::uint32_t> quiet_{0};
  PerCpu cpus_[kMaxCpus];
  // One function for all: it asks which CPU it runs on.
  Timer timers_[kMaxCpus] = {{on_timer, this}, {on_timer, this}, {on_timer, this}, {on_timer, this},
                             {on_timer, this}, {on_timer, this}, {on_timer, this}, {on_timer, this}};
  static_assert(kMaxCpus == 8);
};

}  // namespace guest::kernel
