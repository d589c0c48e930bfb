// What threads need of the platform: registers that change places, and a way to another CPU. guest_arch defines the
// functions; host/ does for tests.
#pragma once

#include <cstdint>
#include <type_traits>

#include "guest/kernel/call_queue.hpp"

namespace guest::threads {

/// Where a thread's registers are while it does not run.
struct Context {
  std::uint64_t stack_pointer = 0;  ///< what the platform has saved lies there
  /// The stack, whole.
  std::uint64_t stack_bottom = 0;
  std::uint64_t stack_top = 0;
  // The platform's, of few threads: FP registers and a user's address space. Touched on the thread's CPU only.
  std::uint32_t extras = 0;  ///< what a switch from or to this one has to see to besides; 0: nothing
  void* fp = nullptr;        ///< where its FP registers are while others have the CPU's
  void* user = nullptr;      ///< the user task that it runs
};
static_assert(std::is_standard_layout_v<Context>);

/// The caller's stack, for a context that it will be saved in.
void adopt_stack(Context& context);

/// Prepares `context`, of which the stack is set, so that the first switch to it calls `entry`, with interrupts masked.
/// `entry` does not return.
void make_context(Context& context, void (*entry)());

/// Saves the registers of the caller in `from` and goes on as `to`; returns when somebody switches back. Interrupts
/// masked.
void switch_context(Context& from, Context& to);

/// What comes before switch_context() where either of the two has extras. Interrupts masked.
void switch_extras(Context& from, Context& to);
/// The running context ends: none of its extras are kept. Interrupts masked.
void drop_extras(Context& context);

/// Memory for a stack: mapped, with unmapped memory around it where the platform can. False: there is none.
[[nodiscard]] bool allocate_stack(Context& context);
/// Gives back what allocate_stack() gave. Nobody runs on it. Not from interrupt handlers.
void free_stack(Context& context);

/// Has `Dispatcher::run_inbox()` called on the CPU `cpu`, in an interrupt, soon. From any context.
void kick(std::uint32_t cpu);

/// Runs function(context) on the CPU `cpu`, this one included, with interrupts masked, and returns when it has. False:
/// there is no such CPU. With interrupts on only, and no spin lock.
[[nodiscard]] bool call_on(std::uint32_t cpu, kernel::CallFunction function, void* context);

/// Takes a little processor time: a turn of a loop that does nothing else.
void spin();

}  // namespace guest::threads
