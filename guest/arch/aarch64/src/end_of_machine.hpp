// The machine ends once: one CPU says how, the others are stopped.
#pragma once

namespace guest::arch {

/// This CPU ends the machine, with interrupts masked. If another one has begun to, this CPU waits for ever and nothing
/// is said twice. Returns again on the CPU that has claimed it already.
void claim_end_of_machine();

/// Interrupts every other CPU to stop it, and waits a bounded time until all have. A CPU that keeps its interrupts
/// masked goes on, unable to write to the log. Interrupts masked; takes no lock.
void stop_other_cpus();
/// What the others do then, in the interrupt.
[[noreturn]] void stop_this_cpu();

}  // namespace guest::arch
