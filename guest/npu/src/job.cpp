#include "guest/npu/job.hpp"

#include <algorithm>
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
  job->known_.commands.reset(new (std::nothrow) Known::Command[commands]);
  if (job->commands_ == nullptr || job->block_ == nullptr || job->known_.commands == nullptr) {
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
  known_.table = nullptr;
  known_.commands[count_] = {};
  commands_[count_++] = command;
  return Status::Ok;
}

void Job::clear() {
  kernel::require(!in_flight(), "a job in flight is changed");
  count_ = 0;
}

std::span<abi::npu::Command> Job::commands() {
  kernel::require(!in_flight(), "a job in flight is changed");
  forget_all();
  return {commands_.get(), count_};
}

void Job::forget_all() {
  known_.table = nullptr;
  std::fill_n(known_.commands.get(), count_, Known::Command{});
}

void Job::set_operand(std::uint32_t command, unsigned operand, std::uint32_t region, std::uint64_t offset) {
  kernel::require(!in_flight() && command < count_ && operand < abi::npu::kMaxOperands,
                  "an operand of a job in flight is changed, or of a command that it does not have");
  abi::npu::TensorRef& place = commands_[command].operands[operand];
  Known::Command& known = known_.commands[command];
  if (place.region != region) {
    known_.table = nullptr;  // it names other regions
    // What it costs depends on what operands there are, not on where.
    known.measured = known.measured && place.region != abi::npu::kNoRegion && region != abi::npu::kNoRegion;
  } else if (place.offset == offset) {
    return;
  }
  place.region = region;
  place.offset = offset;
  known.translated = false;
}

void Job::set_dim(std::uint32_t command, unsigned dim, std::uint32_t value) {
  kernel::require(!in_flight() && command < count_ && dim < abi::npu::kMaxDims,
                  "a dimension of a job in flight is changed, or of a command that it does not have");
  if (commands_[command].dims[dim] != value) {
    commands_[command].dims[dim] = value;
    known_.commands[command] = {};
  }
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
