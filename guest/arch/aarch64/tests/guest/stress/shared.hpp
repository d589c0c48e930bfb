// Things that threads share, each with an account that shows when something is lost.
#pragma once

#include <cstdint>

#include "world.hpp"

namespace guest::stress {

/// What a thread does with what it holds: nothing, or it lets others run, sleeps, or takes processor time.
void hold(Slot& slot);
/// Takes processor time.
void spin_for(std::uint64_t duration_ns);

/// Mutexes with two counts each, which are equal while nobody holds the mutex.
void lock_one(Slot& slot);
/// Two of them, in rising order.
void lock_two(Slot& slot);
/// Semaphores with a number of tokens: takes one and gives it back.
void use_pool(Slot& slot);
/// One token, handed from thread to thread through a mutex and a condition.
void use_baton(Slot& slot);
/// Conditions that wake all at once: waits until the gate is opened.
void pass_gate(Slot& slot);
/// Opens the gate if somebody waits there and all who waited for the last time have passed.
void open_gate(std::uint32_t number);
void open_some_gate(Slot& slot);
/// A semaphore that nobody signals: the wait must end at its time limit, not earlier.
void wait_in_vain(Slot& slot);
/// Allocates and puts the block where others find it, or takes one that somebody has put there, and frees it.
void pass_block_on(Slot& slot);

/// The thread waits for a mutex that others have meanwhile: it may be for long.
bool is_in_use(const Slot& slot);

/// When all threads have ended: fails if an account is wrong.
void settle_accounts();
/// The same for the blocks, of which it frees what is left.
void settle_blocks();

inline constexpr std::uint32_t kGates = 4;

}  // namespace guest::stress
