// Who starts the threads of the stress test, looks after them, and draws the balance.
#pragma once

#include "guest/kernel/sched/server.hpp"

namespace guest::stress {

/// The server on CPU 0 that the supervisor's thread is to run in.
sched::Server& admit_supervisor();
/// The whole test, in a thread of its own: ends the machine, with exit code 0 if nothing was wrong.
void supervise(void*);

}  // namespace guest::stress
