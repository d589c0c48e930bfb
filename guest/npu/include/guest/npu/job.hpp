// A job for the NPU: a command stream, what it may take, and how it ended (docs/npu.md, Jobs).
//
//            submit()                    the accelerator has run or refused it
//   Idle ---------------> InFlight --------------------------------------------> Idle
//
// Owned by whoever submits it, who may submit it again: the stream stays as it was, and may be changed in between.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "abi/npu.hpp"
#include "guest/kernel/status.hpp"
#include "guest/kernel/threads/semaphore.hpp"

namespace guest::npu {

/// How a job ended. What a device says has been checked: each value is one that there is.
struct JobEnd {
  abi::npu::Status status = abi::npu::Status::Ok;
  abi::npu::Reason reason = abi::npu::Reason::None;
  std::uint32_t command = abi::npu::kNoCommand;  ///< at fault, or at which it ended
  std::uint32_t stream_offset = 0;               ///< of what is at fault, bytes from the first command
  std::uint64_t cycles = 0;                      ///< modelled, of the commands that have run
  std::uint64_t submitted_ns = 0;                ///< by the guest's clock, as is the next one
  std::uint64_t ended_ns = 0;
  std::uint64_t run_ns = 0;  ///< from its first command until its last, by the accelerator's clock
  std::uint32_t preemptions = 0;
  [[nodiscard]] bool ok() const { return status == abi::npu::Status::Ok; }
};

struct JobOptions {
  abi::npu::Priority priority = abi::npu::Priority::Normal;
  /// After its submission; 0: that of the submitting thread's server, if it has one.
  std::uint64_t deadline_ns = 0;
  std::uint64_t cycle_limit = 0;  ///< 0: what the accelerator allows
  bool at_modelled_time = false;
};

/// In threads. Its memory is the kernel's, so that a device reaches it.
class Job {
 public:
  static constexpr std::uint32_t kMaxCommands = 4096;

  /// An idle job with room for `commands`, 1 to kMaxCommands. OutOfRange, NoMemory.
  static kernel::Result<std::unique_ptr<Job>> make(std::uint32_t commands);
  /// It must not be in flight.
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  JobOptions options;

  /// Appends a command. OutOfRange: no room. Not in flight, as the next two.
  kernel::Status add(const abi::npu::Command& command);
  void clear() { count_ = 0; }
  [[nodiscard]] std::span<abi::npu::Command> commands();

  [[nodiscard]] bool in_flight() const { return in_flight_.load(std::memory_order_acquire); }
  /// Waits until it is in flight no more, until `until_ns` of the clock at the latest, or until the thread is asked to
  /// stop: who gets TimedOut or Stopped owns a job that is still in flight, and aborts it (Npu::abort()).
  threads::WaitResult wait(std::uint64_t until_ns = threads::kForever);
  /// Of the last run. Not in flight.
  [[nodiscard]] const JobEnd& end() const { return end_; }

 private:
  friend class Npu;
  Job() = default;

  std::atomic<bool> in_flight_{false};
  std::uint32_t count_ = 0;
  std::uint32_t room_ = 0;
  JobEnd end_;
  threads::Semaphore ended_;
};

}  // namespace guest::npu
