#include <atomic>
#include <new>

#include "guest/arch/clock.hpp"
#include "guest/arch/fp.hpp"
#include "guest/arch/model/esr.hpp"
#include "guest/arch/user.hpp"
#include "guest/arch/user_access.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/process/fault_report.hpp"
#include "guest/process/machine/user_tasks.hpp"
#include "guest/process/syscalls.hpp"
#include "guest/process/task_console.hpp"
#include "guest/process/user_space.hpp"

namespace guest::process {
namespace {

constinit AsidPool asids;
constinit std::uint64_t unix_time_ns = 0;
constinit kernel::Counter killed{"user_tasks_killed"};
constinit TaskLlmSource* llm_source = nullptr;

/// All but the constructor, the destructor and report() in the task's thread.
class UserTask final : public Program, public TaskServices, public arch::UserSide {
 public:
  explicit UserTask(const ProgramSpec& spec)
      : name_(spec.name),
        space_({kernel::kernel_pages(), asids, arch::translation_maintenance()}, spec.max_pages),
        console_(kernel::log(), spec.name) {}

  kernel::Outcome load(const ProgramSpec& spec) {
    if (spec.llm) {
      kernel::require(llm_source != nullptr, "a task has a handle, and there is nobody who makes one");
      llm_ = llm_source->open(*spec.llm);
      if (llm_ == nullptr) {
        return kernel::fail("task-no-memory", "{}", "no memory for its handle");
      }
    }
    auto outcome = space_.load(spec.file, spec.arguments);
    if (outcome) {
      root_pa = space_.root_pa();
      asid = space_.asid();
    }
    return outcome;
  }

  void run() override {
    pid_ = threads::current_thread().id();
    state_.store(ProgramState::Running, std::memory_order_relaxed);
    end_if_stopped();
    arch::become_user(*this);
    arch::start_user(space_.entry(), space_.stack_pointer());
  }

  [[nodiscard]] ProgramReport report() const override {
    // Acquire pairs with the release in end(): what goes with the state is there.
    ProgramReport report;
    report.state = state_.load(std::memory_order_acquire);
    report.pages = space_.pages().used();
    report.status = status_.load(std::memory_order_relaxed);
    if (report.state == ProgramState::Killed) {
      report.cause.write(cause_.view());
    }
    return report;
  }

  /// Ends the thread if it was asked to. What the task was about to do is not done.
  void end_if_stopped() {
    if (threads::current_thread().stop_requested()) {
      end(ProgramState::Stopped);
    }
  }
  [[noreturn]] void kill(const arch::ExceptionFrame& exception);

  std::size_t copy_from_user(std::span<std::byte> to, std::uint64_t from) override {
    return arch::copy_from_user(to, from);
  }
  std::size_t copy_to_user(std::uint64_t to, std::span<const std::byte> from) override {
    return arch::copy_to_user(to, from);
  }
  [[nodiscard]] std::uint32_t pid() const override { return pid_; }
  void write_console(std::string_view bytes) override {
    end_if_stopped();  // between the pieces of a long one
    console_.write(bytes);
  }
  [[nodiscard]] std::uint64_t now_ns() const override { return arch::clock_now_ns(); }
  [[nodiscard]] std::uint64_t unix_time_at_reset_ns() const override { return unix_time_ns; }
  [[nodiscard]] std::uint64_t cpu_time_ns() const override {
    return static_cast<std::uint64_t>(threads::dispatcher().current_ran());
  }
  void sleep_until(std::uint64_t deadline_ns) override {
    if (!threads::sleep_until(deadline_ns)) {
      end(ProgramState::Stopped);
    }
  }
  void yield() override { threads::yield(); }
  std::uint64_t brk(std::uint64_t wanted) override { return space_.brk(wanted); }
  TaskLlm* llm(std::uint64_t handle) override { return handle == 0 ? llm_.get() : nullptr; }
  void exit(std::uint8_t status) override {
    status_.store(status, std::memory_order_relaxed);
    end(ProgramState::Exited);
  }

 private:
  /// The task's address space is not in use any more when its thread has gone: whoever destroys this waits for that.
  [[noreturn]] void end(ProgramState how) {
    console_.flush();
    if (llm_ != nullptr) {
      llm_->close();
    }
    arch::leave_user();
    state_.store(how, std::memory_order_release);
    threads::exit_thread();
  }

  std::string_view name_;
  std::uint32_t pid_ = 0;
  UserSpace space_;
  TaskConsole console_;
  std::unique_ptr<TaskLlm> llm_;  ///< null: the scenario gave it none
  std::atomic<ProgramState> state_{ProgramState::Loaded};
  std::atomic<std::uint8_t> status_{0};
  kernel::FixedText<128> cause_;  ///< written before state_ says Killed
};

void UserTask::kill(const arch::ExceptionFrame& exception) {
  console_.flush();
  arch::describe_cause(cause_, exception.esr, exception.far);
  {
    kernel::Log::Line line(kernel::log());
    write_fault(line, pid_, name_,
                {.esr = exception.esr, .far = exception.far, .pc = exception.elr, .sp = exception.sp, .x = exception.x},
                space_);
  }
  killed.add();
  end(ProgramState::Killed);
}

UserTask& current_task() {
  arch::UserSide* const task = arch::current_user();
  kernel::require(task != nullptr, "an exception from EL0 in a thread that runs no user task");
  return *static_cast<UserTask*>(task);
}

/// Apart, so that other calls need no stack for the registers.
[[gnu::noinline]] std::uint64_t call_keeping_fp(const SyscallArguments& call, UserTask& task) {
  const arch::FpKeeper keeper;
  return process::system_call(call, task);
}

class Handler final : public arch::UserTaskHandler {
 public:
  void system_call(arch::UserFrame& frame) override {
    UserTask& task = current_task();
    std::uint64_t(&x)[31] = frame.exception.x;
    const SyscallArguments call{.number = x[8], .values = {x[0], x[1], x[2], x[3], x[4], x[5]}};
    x[0] = uses_fp_registers(call.number) ? call_keeping_fp(call, task) : process::system_call(call, task);
    task.end_if_stopped();
  }
  void fp_access(arch::UserFrame&) override { arch::take_fp(); }
  void fault(arch::UserFrame& frame) override { current_task().kill(frame.exception); }
  void interrupted(arch::UserFrame&) override { current_task().end_if_stopped(); }
};
constinit Handler handler;

class Loader final : public ProgramLoader {
 public:
  std::expected<std::unique_ptr<Program>, kernel::NamedError> load(const ProgramSpec& spec) override {
    std::unique_ptr<UserTask> task(new (std::nothrow) UserTask(spec));
    if (task == nullptr) {
      return kernel::fail("task-no-memory", "{}", "the kernel's heap is full");
    }
    if (kernel::Outcome outcome = task->load(spec); !outcome) {
      return std::unexpected(outcome.error());
    }
    return task;
  }
};
constinit Loader loader;

}  // namespace

ProgramLoader& start_user_tasks(std::uint64_t unix_time_at_reset_ns) {
  unix_time_ns = unix_time_at_reset_ns;
  kernel::counters().add(killed);
  kernel::counters().add(unknown_syscalls());
  arch::set_user_task_handler(handler);
  return loader;
}

void set_llm_source(TaskLlmSource& source) { llm_source = &source; }

}  // namespace guest::process
