// What the threads of the stress test share: its options, its figures, the places that threads have, and how it fails.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "guest/kernel/format.hpp"
#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/kernel/timer.hpp"
#include "random.hpp"

namespace guest::stress {

/// From the boot arguments, as "seed=7 seconds=600".
struct Options {
  std::uint64_t seed = 1;
  std::uint64_t seconds = 10;       ///< of the guest's clock
  std::uint64_t pause_us = 50'000;  ///< of a thread between two actions, in the mean
  std::uint64_t limit_s = 30;       ///< who notices later than that what it waits for was not woken
  std::uint64_t lose = 0;           ///< 1: the test loses a wake-up itself, which it must find
  std::uint64_t passing = 0;        ///< not 0: so many semaphores that end after one wait, instead of all else
};
extern constinit Options options;

/// What was done, by all threads. Relaxed: figures order nothing.
struct Figures {
  using Figure = std::atomic<std::uint64_t>;
  Figure threads{0};      ///< made, those that live shortly included
  Figure kills{0};        ///< threads that were asked to stop, joined, and replaced
  Figure actions{0};      ///< that threads have chosen
  Figure locks{0};        ///< of mutexes with a count
  Figure waits{0};        ///< on semaphores and conditions that were signalled
  Figure timeouts{0};     ///< of waits that nobody was to end
  Figure starved{0};      ///< waits that were given up: others, more urgent, always came first
  Figure sleeps{0};       ///< that were slept to their end
  Figure ipis{0};         ///< calls to other CPUs and to the own one
  Figure allocations{0};  ///< of the heap
  Figure frees{0};
};
extern constinit Figures figures;
inline void count(Figures::Figure& figure) { figure.fetch_add(1, std::memory_order_relaxed); }

/// False: everybody is to come to an end.
extern constinit std::atomic<bool> running;

std::uint64_t now_ns();
/// For how long the threads of a hard server repay what it has overrun, at most. A host that runs other things takes
/// time from whoever has the CPU, a second perhaps, and of a twentieth of the CPU that is repaid in twenty seconds.
extern constinit std::atomic<std::uint64_t> repayment_ns;
inline std::uint64_t limit_ns() {
  return options.limit_s * 1'000'000'000 + repayment_ns.load(std::memory_order_relaxed);
}
/// When a wait that begins now ends at the latest. Later than the limit: who finds then that what it waited for has
/// come long ago was not woken, and who finds that it came just now was unlucky.
inline std::uint64_t wait_end_ns() { return now_ns() + 2 * limit_ns(); }

/// A place for a thread: the one that is there may be killed, and another one comes.
struct Slot {
  /// From now on its thread does this, with the object of that number. For who looks after it.
  void begin(std::string_view what, std::uint32_t which);

  std::uint32_t index = 0;
  sched::Server* server = nullptr;  ///< of its threads; null: they are best effort
  std::uint32_t cpu = 0;            ///< of the thread that is there

  // Of whoever has claimed it, which only one thread at a time can; at first whoever starts the first thread.
  std::atomic<bool> claimed{true};
  threads::ThreadRef thread;
  std::uint64_t generation = 0;

  // Of the thread that is there.
  Random random{0};
  /// Answers to what it has asked, and how many are still to come: they outlive a thread that is killed meanwhile.
  threads::Semaphore answers{0};
  std::uint32_t owed = 0;
  kernel::Timer alarm{[](void* slot) { static_cast<Slot*>(slot)->answers.signal(); }, this};

  // Written by the thread that is there, read by who looks after it; `what` points to a literal.
  std::atomic<const char*> what{""};
  std::atomic<std::uint32_t> which{0};
  std::atomic<std::uint64_t> since_ns{0};
};

inline constexpr std::uint32_t kThreads = 200;
extern constinit Slot slots[kThreads];

/// Makes a thread for the slot, which the caller has claimed.
void start(Slot& slot);
/// Asks the slot's thread to stop, joins it and makes another one, unless somebody else does; false then.
bool replace(Slot& slot);

/// What the threads do: `slot` is theirs.
void act(void* slot);
/// Threads that live shortly and are not there any more when this is 0.
extern constinit std::atomic<std::uint32_t> children;

/// Says what is wrong and ends the machine with exit code 1. In threads.
[[noreturn]] void fail_with(std::string_view what);
template <typename... Args>
[[noreturn]] void fail(kernel::format_detail::Checked<Args...> format, const Args&... args) {
  kernel::FixedText<192> text;
  kernel::format_to<Args...>(text, format, args...);
  fail_with(text.view());
}

/// Sleeps, and fails if that ends too early or far too late. False: the thread is to stop.
bool sleep(std::uint64_t duration_ns);
/// Of a wait that began at `begun_ns` and is over, for what comes at once: fails if that took longer than the limit.
void check_wait(std::string_view what, std::uint32_t which, std::uint64_t begun_ns);
/// What a thread waited for came at `came_ns`, or was there since then: fails if it has noticed that too late.
void check_woken(std::string_view what, std::uint32_t which, std::uint64_t came_ns);

}  // namespace guest::stress
