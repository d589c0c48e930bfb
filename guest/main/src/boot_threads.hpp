// Threads on every CPU.
#pragma once

#include "guest/kernel/sched/admission.hpp"

namespace guest {

/// This CPU has threads from now on; the caller is its idle thread. When its timers are there. Servers may be promised
/// `bound` of it.
void start_threads_here(sched::Ppm bound);

/// The work queue gets a thread, on this CPU. Interrupts masked: nothing runs before they are not.
void start_work_thread();

/// The idle thread's last step: waits for interrupts, for ever.
[[noreturn]] void idle();

}  // namespace guest
