// The NPU of a machine without one: the CPU computes, in the thread that submits, so on the budget of that thread's
// server and by its deadline. submit() returns when the job has ended. Everything else is as the device has it.
//
// Priorities are those of the threads: a job is preempted when its thread is.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "guest/kernel/threads/condition.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/npu/npu.hpp"
#include "guest/npu/region_table.hpp"
#include "npu/kernels/kernels.hpp"
#include "npu/stream/job.hpp"

namespace guest::npu {

/// In threads. Large: give it static storage.
class CpuAccelerator final : public Npu {
 public:
  static constexpr std::uint32_t kMaxJobs = 64;  ///< at once; the next thread waits

  /// `kernels` lives as long as this.
  explicit CpuAccelerator(const ::npu::KernelSet& kernels);

  [[nodiscard]] const Info& info() const override { return info_; }
  std::expected<std::uint32_t, kernel::NamedError> register_region(std::span<std::byte> memory,
                                                                   std::uint32_t flags) override;
  kernel::Outcome release_region(std::uint32_t handle) override;
  kernel::Outcome submit(Job& job) override;
  void abort(Job& job) override;
  kernel::Outcome reset() override;
  kernel::Outcome flush() override;
  kernel::Outcome set_power(abi::npu::Power power) override;
  std::expected<abi::npu::Counters, kernel::NamedError> read_counters() override;

 private:
  /// A job that runs: on the stack of its thread.
  struct Run {
    Job& job;
    std::uint64_t number = 0;       ///< of the jobs since boot
    std::uint32_t epoch = 0;        ///< when it came
    std::uint64_t due_ns = 0;       ///< its deadline
    std::uint64_t modelled_ns = 0;  ///< when the modelled device is done with what has run
    JobEnd end;
  };

  kernel::Outcome enter(Run& run);
  void leave(const Run& run);
  void execute(Run& run);
  bool run_command(Run& run, std::uint32_t index);
  bool may_go_on(Run& run);
  bool wait_for_power(Run& run);
  bool wait_for_model(Run& run);
  bool run_units(Run& run, const ::npu::Checked& command);
  void count(const ::npu::Checked& command);
  [[nodiscard]] std::optional<JobEnd> reason_to_end(const Run& run) const;
  kernel::Outcome end_all(abi::npu::Reason reason);
  kernel::Outcome wait_for_jobs_before(std::uint64_t number);

  const ::npu::KernelSet& kernels_;
  ::npu::Model model_;
  ::npu::JobLimits limits_;
  Info info_;

  threads::Mutex mutex_;  ///< of everything below, for changes
  threads::Condition changed_;
  RegionTable regions_;
  std::array<std::uint64_t, kMaxJobs> running_{};  ///< numbers of the jobs that run; 0: a free place
  std::uint64_t last_number_ = 0;
  std::uint32_t jobs_ = 0;  ///< that run
  std::uint64_t idle_since_ns_ = 0;
  abi::npu::Counters counters_{};
  // Looked at between two units, without the mutex. Relaxed: that they are seen soon is all that is asked of them.
  std::atomic<abi::npu::Power> power_{abi::npu::Power::On};
  std::atomic<std::uint32_t> epoch_{0};  ///< jobs of an earlier one end
  std::atomic<abi::npu::Reason> epoch_reason_{abi::npu::Reason::None};
};

}  // namespace guest::npu
