// User tasks at EL0, as far as the CPU knows of them: their registers, how they are entered and left, their translation
// tables.
//
// A task's thread has a kernel stack. While the task runs at EL0 that stack is empty, but for what the thread did
// before it became the task's; each exception pushes a UserFrame, and returning to the task pops it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "guest/arch/exception.hpp"
#include "guest/arch/layout.h"
#include "guest/arch/model/user_table.hpp"
#include "guest/kernel/threads/context.hpp"

namespace guest::arch {

/// All of a task's registers but FP and SIMD. In `exception`, sp is SP_EL0.
struct UserFrame {
  ExceptionFrame exception;
  std::uint64_t tpidr;  ///< TPIDR_EL0
  std::uint64_t reserved;
};
static_assert(sizeof(UserFrame) == SIS_USER_FRAME_SIZE && sizeof(UserFrame) % 16 == 0);
static_assert(offsetof(UserFrame, tpidr) == SIS_USER_FRAME_TPIDR && std::is_standard_layout_v<UserFrame>);

/// A task that has not run yet: registers zero, PSTATE EL0t with interrupts on.
UserFrame initial_user_frame(std::uint64_t entry, std::uint64_t stack_pointer);

/// What becomes of exceptions of tasks. On the task's kernel stack; what it changes in the frame is what the task goes
/// on with when it returns.
class UserTaskHandler {
 public:
  /// SVC: number in x8, arguments in x0 to x5, the result goes to x0. Interrupts on.
  virtual void system_call(UserFrame& frame) = 0;
  /// FP or SIMD while CPACR_EL1 traps them; the instruction is executed again. Interrupts on.
  virtual void fp_access(UserFrame& frame) = 0;
  /// Anything else that the task's instruction did. Returning executes it again. Interrupts on.
  virtual void fault(UserFrame& frame) = 0;
  /// After an interrupt was handled, before the task goes on. Interrupts masked.
  virtual void interrupted(UserFrame& frame) = 0;

 protected:
  ~UserTaskHandler() = default;
};

/// Once, before the first task is entered. `handler` stays.
void set_user_task_handler(UserTaskHandler& handler);

/// Goes to EL0 with the registers of `frame`, which lies on the task's kernel stack; that ends behind it from then on.
/// Interrupts are masked until the task runs. The task's tables are in use on this CPU.
extern "C" [[noreturn]] void enter_user(UserFrame& frame);

/// What a task may do, and no tables in TTBR0. Part of enable_cpu_features().
void prepare_for_users();

/// From now on this CPU translates user addresses with the tables at `root_pa`, until the next call of one of these
/// two. Nothing of the kernel's needs either.
void use_address_space(std::uint64_t root_pa, Asid asid);
void use_no_address_space();

/// What a CPU needs of a task to run its thread. Whoever runs tasks derives from it.
struct UserSide {
  std::uint64_t root_pa = 0;
  Asid asid{};
};

/// Bit of threads::Context::extras: the thread runs a user task, which is Context::user.
inline constexpr std::uint32_t kExtraUser = 2;

/// The running thread is `task`'s from now on: its tables are in use whenever it runs.
void become_user(UserSide& task);
/// The running thread is no task's any more.
void leave_user();
/// Of the running thread; null: it is the kernel's.
[[nodiscard]] UserSide* current_user();
/// Goes to EL0 at `entry`, in the running thread, which is a task's. Nobody returns to what its kernel stack holds so
/// far: exceptions push their frames below.
[[noreturn]] void start_user(std::uint64_t entry, std::uint64_t stack_pointer);
/// Part of switch_extras().
void switch_address_space(const threads::Context& from, const threads::Context& to);

/// The CPUs, for owners of user address spaces. From any CPU and any context.
TranslationMaintenance& translation_maintenance();

}  // namespace guest::arch
