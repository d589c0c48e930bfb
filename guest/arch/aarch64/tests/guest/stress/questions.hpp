// A thread asks for an answer and waits for it: each question has exactly one.
#pragma once

#include "world.hpp"

namespace guest::stress {

/// Of an interrupt on another CPU, of a timer, of a thread that is made for it. A thread that is killed meanwhile
/// leaves the answer to the one that comes after it.
void ask(Slot& slot);
/// Waits for the answers that the threads before this one have not waited for. False: this one is to stop as well.
bool await_answers(Slot& slot);
/// Has another CPU, or this one, run something in an interrupt.
void interrupt_some_cpu(Slot& slot);
/// Makes a thread that lives shortly; one in two is joined.
void make_child(Slot& slot);

/// When all threads have ended: fails if a call is missing or an answer is left.
void settle_questions();

}  // namespace guest::stress
