// CPUs with clocks that only move when somebody works: threads run for real, on contexts of the C library, and every
// interrupt comes at an exact time.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "guest/kernel/threads/threads.hpp"

namespace guest::threads {

/// Makes the CPUs 0 and 1, if they are not there.
void start_cpus();
/// Nanoseconds since the first use; the same on all CPUs.
std::uint64_t now_ns();

/// What spin() takes.
inline constexpr std::uint64_t kSpinNs = 100;

/// The running thread needs the CPU for so long. Interrupts come meanwhile, and others may run.
void work(std::uint64_t ns);

/// For so long the CPU of the running thread does not run, and it is told so. No interrupt comes meanwhile.
void steal(std::uint64_t ns);

/// The CPU `cpu` runs its threads, and time passes, until all of them are blocked for good. CPUs 0 and 1 exist.
void run_until_idle(std::uint32_t cpu = 0);

/// A thread that runs `body`.
ThreadRef start(std::string_view name, std::function<void()> body, std::uint32_t cpu = 0,
                sched::Server* server = nullptr);

/// Admits a server to CPU 0, or fails the test.
void admit(sched::Server& server);

}  // namespace guest::threads
