// Threads that share the units of a command.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "npu/kernels/kernels.hpp"

namespace vmm::npu {

/// Some helpers for one thread that calls run(). Which thread computes a unit is chance; what it computes is not, since
/// units share nothing (npu/kernels/kernels.hpp).
class WorkerPool {
 public:
  /// @param thread_start called by each helper as its first act; may be empty
  WorkerPool(unsigned helpers, std::function<void()> thread_start);
  /// run() must have returned.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Runs `units` with all threads and returns when no one runs any of them.
  /// @param least units that a thread takes at a time, but for the last ones
  /// @return why the command failed, if it did; then some units may not have run
  std::optional<abi::npu::Reason> run(::npu::Kernel kernel, const ::npu::Checked& command, ::npu::Units units,
                                      std::uint64_t least);

 private:
  /// A share of work, on the stack of run().
  struct Task {
    ::npu::Kernel kernel;
    const ::npu::Checked* command;
    std::uint64_t end;
    std::uint64_t least;    ///< units of a share
    std::uint64_t threads;  ///< a share is one's part of what is left: so they end together, whenever they began
    std::atomic<std::uint64_t> next;
    std::atomic<std::uint32_t> failure{0};  ///< a Reason; 0: none
  };
  static ::npu::Units take_share(Task& task);
  void offer(Task& task);
  static void work(Task& task);
  void help();

  std::function<void()> thread_start_;
  std::mutex mutex_;  ///< guards the next six; the atomics are also looked at without it, by who waits for a change
  std::condition_variable offered_, left_;
  Task* task_ = nullptr;                  ///< that helpers may join
  std::atomic<std::uint64_t> offers_{0};  ///< tasks so far: one may lie where an earlier one lay
  std::atomic<unsigned> joined_{0};       ///< helpers at work
  unsigned asleep_ = 0;                   ///< helpers that must be woken
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace vmm::npu
