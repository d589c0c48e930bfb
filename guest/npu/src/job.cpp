#include "guest/npu/job.hpp"

#include <cstring>
#include <new>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"

namespace guest::npu {

using kernel::Status;
using threads::WaitResult;

kernel::Result<std::unique_ptr<Job>> Job::make(std::uint32_t commands) {
  if (commands == 0 || commands > kMaxCommands) {
    return std::unexpected(Status::OutOfRange);
  }
  std::unique_ptr<Job> job(new (std::nothrow) Job);
  if (job == nullptr) {
    return std::unexpected(Status::NoMemory);
  }
  job->room_ = commands;
  job->commands_.reset(new (std::nothrow) abi::npu::Command[commands]);
  job->block_.reset(new (std::nothrow) Line[job->block_lines()]);
  if (job->commands_ == nullptr || job->block_ == nullptr) {
    return std::unexpected(Status::NoMemory);
  }
  return job;
}

Job::~Job() { kernel::require(!in_flight(), "a job ends its life in flight"); }

Status Job::add(const abi::npu::Command& command) {
  kernel::require(!in_flight(), "a job in flight is changed");
  if (count_ == room_) {
    return Status::OutOfRange;
  }
  commands_[count_++] = command;
  return Status::Ok;
}

void Job::clear() {
  kernel::require(!in_flight(), "a job in flight is changed");
  count_ = 0;
}

std::span<abi::npu::Command> Job::commands() {
  kernel::require(!in_flight(), "a job in flight is changed");
  return {commands_.get(), count_};
}

WaitResult Job::wait(std::uint64_t until_ns) { return wait_until(until_ns, true); }

WaitResult Job::wait_until(std::uint64_t until_ns, bool stoppable) {
  if (!in_flight()) {
    return WaitResult::Signalled;
  }
  threads::Waiter waiter;
  bool waits = false;
  {
    const kernel::SpinGuard guard(lock_);
    waits = !ended_;
    if (waits) {
      waiters_.add(waiter);
    }
  }
  if (waits) {
    const WaitResult result = threads::wait_for_signal(waiter, waiters_, lock_, until_ns, stoppable);
    if (result != WaitResult::Signalled) {
      return result;
    }
  }
  // Who ended it has a few instructions left, with interrupts masked, on another CPU.
  while (in_flight()) {
    kernel::spin_pause();
  }
  return WaitResult::Signalled;
}

}  // namespace guest::npu
