// What becomes of threads that have ended.
#pragma once

#include "guest/kernel/threads/thread.hpp"

namespace guest::threads {

/// Of a thread that has left its stack for ever: the work queue frees the stack and tells who joins it. From any
/// context.
void bury(Thread& thread);
/// One reference less; with the last one the thread's memory goes, in the work queue. From any context.
void drop_reference(Thread& thread);

}  // namespace guest::threads
