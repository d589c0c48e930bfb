// A job for the NPU: a command stream, what it may take, and how it ended (docs/npu.md, Jobs).
//
//            submit()                    the accelerator has run or refused it
//   Idle ---------------> InFlight --------------------------------------------> Idle
//
// Owned by whoever submits it, who may submit it again: the stream stays as it was, and may be changed in between.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "abi/npu.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/status.hpp"
#include "guest/kernel/threads/wait_list.hpp"
#include "guest/npu/region_table.hpp"

namespace guest::npu {

/// How a job ended. What a device says has been checked: each value is one that there is.
struct JobEnd {
  std::uint64_t id = 0;  ///< no two jobs of a kernel have the same
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
  static constexpr std::uint64_t kNoDeadline = ~std::uint64_t{0};
  /// Nothing: High for threads of a server, Normal for others.
  std::optional<abi::npu::Priority> priority;
  /// After its submission. 0: that of the submitting thread's server, if it has one; a job that the CPU runs does not
  /// end for that one, since the thread itself runs by it.
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

  /// Appends a command. OutOfRange: no room. Not in flight, as the next ones.
  kernel::Status add(const abi::npu::Command& command);
  void clear();
  [[nodiscard]] std::span<abi::npu::Command> commands();
  /// Where an operand of a command lies, and one of its dimensions. What was found out about the others at the last
  /// submission stays known, so that a job that is submitted again and again is looked at only where it changed.
  void set_operand(std::uint32_t command, unsigned operand, std::uint32_t region, std::uint64_t offset);
  void set_dim(std::uint32_t command, unsigned dim, std::uint32_t value);

  [[nodiscard]] bool in_flight() const { return in_flight_.load(std::memory_order_acquire); }
  /// Waits until it is in flight no more, until `until_ns` of the clock at the latest, or until the thread is asked to
  /// stop: who gets TimedOut or Stopped owns a job that is still in flight, and aborts it (Npu::abort()).
  threads::WaitResult wait(std::uint64_t until_ns = threads::kForever);
  /// Of the last run. Not in flight.
  [[nodiscard]] const JobEnd& end() const { return end_; }

 private:
  friend class Npu;
  Job() = default;
  threads::WaitResult wait_until(std::uint64_t until_ns, bool stoppable);

  /// Header, commands and result as a device reads and writes them: one block of the heap, which is contiguous in the
  /// machine's memory. The commands are a copy, with the accelerator's own handles of regions.
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  static constexpr std::size_t kCommandLines = sizeof(abi::npu::Command) / sizeof(Line);
  static_assert(sizeof(abi::npu::Command) % sizeof(Line) == 0);
  static_assert(sizeof(abi::npu::JobHeader) == sizeof(Line) && sizeof(abi::npu::JobResult) == sizeof(Line));
  [[nodiscard]] std::size_t block_lines() const { return 2 + room_ * kCommandLines; }

  /// What the accelerator has found out about the stream, if it is one that keeps this: there is only one then.
  struct Known {
    struct Command {
      std::uint64_t cycles = 0;  ///< by the model
      std::uint64_t bytes = 0;   ///< that it reads and writes
      bool measured = false;     ///< the two above
      bool translated = false;   ///< the block has it as it is
    };
    const RegionTable* table = nullptr;  ///< the accelerator's, whose are the next two and `translated`; null: nobody's
    std::uint64_t version = 0;           ///< of the table
    RegionSet named;
    std::uint32_t epoch = 0;  ///< of the accelerator, for `translated` and `measured`
    std::unique_ptr<Command[]> commands;
  };
  void forget_all();

  std::unique_ptr<abi::npu::Command[]> commands_;
  std::unique_ptr<Line[]> block_;
  std::uint32_t count_ = 0;
  std::uint32_t room_ = 0;
  std::atomic<bool> in_flight_{false};
  JobEnd end_;

  // Of the accelerator, while it is in flight.
  std::atomic<bool> abort_{false};
  abi::npu::JobHeader header_{};
  RegionSet regions_;  ///< that its commands name
  Known known_;

  kernel::SpinLock lock_{"npu job", kernel::LockRank::Wait};
  bool ended_ = true;  ///< before in_flight_ says so: waiters may be woken no more
  threads::WaitList waiters_;
};

}  // namespace guest::npu
