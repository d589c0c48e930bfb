// Making threads, finding them, and what a thread does with itself.
#pragma once

#include <cstdint>

#include "guest/kernel/status.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/threads/thread.hpp"

namespace guest::threads {

/// A thread that calls function(argument) and ends when that returns. It may run before this returns. NoMemory: no
/// memory or no stack for it; OutOfRange: the CPU has no dispatcher. In threads.
[[nodiscard]] kernel::Result<ThreadRef> spawn(const ThreadOptions& options, Thread::Function function, void* argument);

/// Null: no thread has this id. Ids are never used again.
[[nodiscard]] ThreadRef find_thread(std::uint32_t id);
/// The thread with the lowest id above `id`, null after the last: a walk over all threads, which may come and go
/// meanwhile. Ids begin with 1.
[[nodiscard]] ThreadRef next_thread(std::uint32_t id);

/// What a thread's CPU knows of it, of one moment.
struct ThreadReport {
  ThreadState state;
  bool running;
  sched::Time ran;  ///< processor time that it has had
  sched::Time at;   ///< that moment
};
/// Asks its CPU. In threads, with interrupts on and no spin lock.
[[nodiscard]] ThreadReport report(const Thread& thread);

/// Ends the running thread.
[[noreturn]] void exit_thread();
/// The running thread lets the others of its server, or of the best-effort class, go first.
inline void yield() { dispatcher().yield(); }
/// Returns at `deadline_ns` of the clock. False: before that, because the thread was asked to stop.
bool sleep_until(std::uint64_t deadline_ns);
bool sleep_for(std::uint64_t duration_ns);

}  // namespace guest::threads
