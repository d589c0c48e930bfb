// One CPU makes another one do something: interrupts between CPUs, and calls that run in their handlers.
#pragma once

#include <cstdint>

#include "guest/kernel/call_queue.hpp"

namespace guest::arch {

/// What interrupts between CPUs mean, as numbers of software-generated interrupts. 0 is the benchmarks' and
/// 1 that of the tests; from 8 on they are left to a secure world, as Arm recommends (IHI 0048).
enum class Ipi : std::uint8_t {
  Call = 2,  ///< there are calls in the CPU's queue
  Wake = 3,  ///< there are threads in the CPU's inbox
  Stop = 4,  ///< for ever: another CPU panics
};

/// Attaches the handlers. Once, by the boot CPU, before it starts the others.
void start_ipis();

/// Interrupts the CPU `cpu`; nothing where it is not online. From any context. What this CPU wrote before is visible to
/// the handler.
void send_ipi(std::uint32_t cpu, Ipi ipi);

namespace smp {

/// Has `function(context)` run on the CPU `cpu` (this one included) in an interrupt handler, soon; does not wait. Calls
/// of one CPU to one other run in their order. False: the CPU is not online, or it has kCapacity calls of this CPU
/// still to run. From any context.
[[nodiscard]] bool call(std::uint32_t cpu, kernel::CallFunction function, void* context);

/// The same, and returns when the function has. Waits for room too. False: the CPU is not online. With interrupts on
/// only, so that two CPUs which wait for each other both answer; it panics otherwise, which includes every handler and
/// every spin lock.
[[nodiscard]] bool call_and_wait(std::uint32_t cpu, kernel::CallFunction function, void* context);

}  // namespace smp
}  // namespace guest::arch
