// System calls of user tasks: numbers, errors and meaning as in Linux for AArch64 (include/uapi/asm-generic/unistd.h),
// of which a few are there, and from 4096 on calls of this kernel's own. Everything else is ENOSYS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/counters.hpp"
#include "guest/process/errno.hpp"
#include "guest/process/task_llm.hpp"

namespace guest::process {

enum class SyscallNumber : std::uint64_t {
  Write = 64,
  Exit = 93,
  ExitGroup = 94,
  Nanosleep = 101,
  ClockGettime = 113,
  SchedYield = 124,
  Getpid = 172,
  Brk = 214,
  // Beyond Linux's numbers:
  LlmSubmit = 4096,
  LlmPoll = 4097,
  LlmCancel = 4098,
};

/// Its code may use FP registers, which are the task's: that of libraries (SHA-256), not the kernel's own.
constexpr bool uses_fp_registers(std::uint64_t number) {
  return number == static_cast<std::uint64_t>(SyscallNumber::LlmSubmit);
}

/// x8 and x0 to x5 of the task.
struct SyscallArguments {
  std::uint64_t number;
  std::uint64_t values[6];
};

/// The task that calls, as the calls see it. All of it in the task's own thread, interrupts on.
class TaskServices {
 public:
  /// Copies from the task's memory at `from`, bytes of `to` in ascending order. Returns how many were copied: fewer
  /// than asked for if the task may not read the next one. Any address may be asked for.
  virtual std::size_t copy_from_user(std::span<std::byte> to, std::uint64_t from) = 0;
  /// The same in the other direction.
  virtual std::size_t copy_to_user(std::uint64_t to, std::span<const std::byte> from) = 0;

  [[nodiscard]] virtual std::uint32_t pid() const = 0;
  /// Bytes for the console, as the task gave them: anything may be among them.
  virtual void write_console(std::string_view bytes) = 0;
  /// Since reset.
  [[nodiscard]] virtual std::uint64_t now_ns() const = 0;
  /// Wall clock at reset, since 1970-01-01 UTC; 0: unknown.
  [[nodiscard]] virtual std::uint64_t unix_time_at_reset_ns() const = 0;
  /// How long the task has run.
  [[nodiscard]] virtual std::uint64_t cpu_time_ns() const = 0;
  /// Returns when now_ns() is at least `deadline_ns`.
  virtual void sleep_until(std::uint64_t deadline_ns) = 0;
  /// Lets others run first.
  virtual void yield() = 0;
  virtual std::uint64_t brk(std::uint64_t wanted) = 0;
  /// What a handle gives. Null: the task has none of this number.
  virtual TaskLlm* llm(std::uint64_t handle) = 0;
  /// Ends the task. `status` is 0 to 255. In the kernel it does not return.
  virtual void exit(std::uint8_t status) = 0;

 protected:
  ~TaskServices() = default;
};

/// Does what the task asks for and returns what goes to its x0: a result, or a negated Errno.
std::uint64_t system_call(const SyscallArguments& call, TaskServices& task);

/// Calls of a number that is not in SyscallNumber, of all tasks. For the registry.
kernel::Counter& unknown_syscalls();

}  // namespace guest::process
