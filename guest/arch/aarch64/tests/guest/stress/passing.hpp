// Semaphores that are gone as soon as the wait for them is over.
#pragma once

namespace guest::stress {

/// A waiter on CPU 1, which ends each semaphore when its wait returns and overwrites its memory, and a signaller on CPU
/// 0: Options::passing times. Fails if anything is written there afterwards. In a thread of its own on CPU 0, which is
/// the signaller: ends the machine.
void run_passing(void*);

}  // namespace guest::stress
