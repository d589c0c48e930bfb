// Threads on every CPU.
#pragma once

namespace guest {

/// This CPU has threads from now on; the caller is its idle thread. When its timers are there.
void start_threads_here();

/// The work queue gets a thread, on this CPU. Interrupts masked: nothing runs before they are not.
void start_work_thread();

/// The idle thread's last step: waits for interrupts, for ever.
[[noreturn]] void idle();

}  // namespace guest
