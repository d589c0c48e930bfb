// Switches of threads, and how long one that is woken takes to run. Each benchmark has a partner: a thread on the same
// CPU, best effort as the benchmark's own, or in a server of its own and so more urgent than it.
#include <atomic>
#include <optional>

#include "guest/bench/benchmark.hpp"
#include "guest/kernel/clock.hpp"
#include "guest/kernel/critical.hpp"
#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/threads.hpp"

namespace guest::bench {
namespace {

constexpr std::uint32_t kYields = 64;             ///< in a sample; the partner answers each with one of its own
constexpr std::uint32_t kServerId = 0xffff'0000;  ///< of no scenario's server
/// Soft, so that a slow machine measures the wake-up and not a wait for the next period.
constexpr sched::ServerParameters kServer{
    .budget = 1'000'000, .period = 100'000'000, .deadline = 100'000'000, .depletion = sched::Depletion::Soft};
constexpr std::uint64_t kTimerDelayNs = 20'000;
constexpr std::string_view kNoThread = "no memory for a thread, or no processor time left to promise it";

/// When the partner ran, in ticks; 0: not yet. One CPU, so relaxed.
constinit std::atomic<std::uint64_t> ran_tick{0};
/// What the partner sleeps until next, in nanoseconds.
constinit std::atomic<std::uint64_t> wake_ns{0};
constinit threads::Semaphore go;
constinit std::optional<sched::Server> server;
constinit std::optional<threads::ThreadRef> partner;

void remove_server() {
  if (server) {
    const kernel::CriticalSection section;
    threads::Dispatcher& here = threads::dispatcher();
    here.admissions().remove(*server, here.now());
    server.reset();
  }
}

void stop_partner() {
  (*partner)->request_stop();
  (*partner)->join();
  partner.reset();
  remove_server();
}

Ready start_partner(threads::Thread::Function function) {
  auto thread = threads::spawn(
      {.name = "bench-partner", .cpu = kernel::cpu_index(), .server = server ? &*server : nullptr}, function, nullptr);
  if (!thread) {
    return std::unexpected(kNoThread);
  }
  partner.emplace(std::move(*thread));
  return {};
}

/// The partner in a server of its own. Admission is the control loop's as well, which is a thread of this CPU: no
/// interrupt comes between, so neither does the loop.
Ready start_urgent_partner(threads::Thread::Function function) {
  server.emplace(kServerId, kServer);
  {
    const kernel::CriticalSection section;
    if (threads::dispatcher().admissions().admit(*server).verdict != sched::Verdict::Admitted) {
      server.reset();
      return std::unexpected(kNoThread);
    }
  }
  const Ready ready = start_partner(function);
  if (!ready) {
    remove_server();
  }
  return ready;
}

Ready prepare_switch() {
  return start_partner([](void*) {
    while (!threads::current_thread().stop_requested()) {
      threads::yield();
    }
  });
}

/// Two switches a yield: there and back.
Sample take_switch(const Benchmark&) {
  return time_of(kYields, [] { threads::yield(); });
}

void note_signals(void*) {
  while (go.wait() == threads::WaitResult::Signalled) {
    ran_tick.store(kernel::tick_count(), std::memory_order_relaxed);
  }
}

Ready prepare_event() { return start_urgent_partner(note_signals); }

Sample take_event(const Benchmark&) {
  const std::uint64_t begin = kernel::tick_count();
  go.signal();
  return ran_tick.load(std::memory_order_relaxed) - begin;
}

Ready prepare_event_best_effort() { return start_partner(note_signals); }

/// As long as it takes a thread without a budget, which is not more urgent: the signal, and the yield that lets it run.
Sample take_event_best_effort(const Benchmark&) {
  ran_tick.store(0, std::memory_order_relaxed);
  const std::uint64_t begin = kernel::tick_count();
  go.signal();
  do {
    threads::yield();
  } while (ran_tick.load(std::memory_order_relaxed) == 0);
  return ran_tick.load(std::memory_order_relaxed) - begin;
}

Ready prepare_timer_thread() {
  return start_urgent_partner([](void*) {
    while (go.wait() == threads::WaitResult::Signalled) {
      if (threads::sleep_until(wake_ns.load(std::memory_order_relaxed))) {
        ran_tick.store(kernel::tick_count(), std::memory_order_relaxed);
      }
    }
  });
}

/// The first tick at which the clock shows `ns`: the clock is the counter in other units, so they keep one ratio.
std::uint64_t tick_of(const kernel::Clock& clock, std::uint64_t ns) {
  const kernel::CriticalSection section;
  const std::uint64_t ticks = kernel::tick_count();
  const std::uint64_t now_ns = clock.now_ns();
  using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((Wide{ns} * ticks + now_ns - 1) / now_ns);
}

Sample take_timer_thread(const Benchmark&) {
  const kernel::Clock& clock = threads::dispatcher().timers().clock();
  ran_tick.store(0, std::memory_order_relaxed);
  wake_ns.store(clock.now_ns() + kTimerDelayNs, std::memory_order_relaxed);
  go.signal();
  while (ran_tick.load(std::memory_order_relaxed) == 0) {
    kernel::spin_pause();
  }
  const std::uint64_t expected = tick_of(clock, wake_ns.load(std::memory_order_relaxed));
  const std::uint64_t ran = ran_tick.load(std::memory_order_relaxed);
  return ran > expected ? ran - expected : 0;
}

constexpr Benchmark kBenchmarks[] = {
    {.name = "thread-switch",
     .measures = "a thread yields, to another one of the same class that runs",
     .operations = 2 * kYields,
     .take = take_switch,
     .prepare = prepare_switch,
     .finish = stop_partner},
    {.name = "event",
     .measures = "before a semaphore is signalled to the thread that waits for it, in a server, running",
     .take = take_event,
     .prepare = prepare_event,
     .finish = stop_partner},
    {.name = "event-best-effort",
     .measures = "the same with a best-effort thread that waits, and a yield to it: an event without a budget",
     .take = take_event_best_effort,
     .prepare = prepare_event_best_effort,
     .finish = stop_partner},
    {.name = "timer-thread",
     .measures = "the instant until which a thread in a server sleeps to it running, the CPU being busy",
     .own_interrupts = 1,
     .take = take_timer_thread,
     .prepare = prepare_timer_thread,
     .finish = stop_partner},
};

}  // namespace

std::span<const Benchmark> thread_benchmarks() { return kBenchmarks; }

}  // namespace guest::bench
