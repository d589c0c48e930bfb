// The NPU as the rest of the kernel sees it: jobs and regions. What runs the jobs is the device, or the CPU where there
// is none (scenario: `npu: off`); everything above is the same.
//
//   ml, graph operators, shell, LLM
//        |  submit(job)                      budget: a server's jobs are charged to its own budget of NPU time
//       Npu ----------+----------------+
//                     |                |
//             DeviceAccelerator   CpuAccelerator: in the submitting thread, so on its server's CPU budget
//              (virtio, interrupts)
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "abi/npu.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/npu/job.hpp"

namespace guest::npu {

/// What runs jobs, and what it can. Numbers of the model: docs/npu.md, Cost.
struct Info {
  std::string_view name;  ///< "device", "cpu"
  std::uint32_t max_jobs = 0;
  std::uint32_t max_commands = 0;
  std::uint32_t max_regions = 0;
  std::uint64_t max_job_cycles = 0;
  std::uint64_t max_command_cycles = 0;
  std::uint64_t clock_hz = 0;
  std::uint32_t bytes_per_cycle = 0;
  std::uint32_t f32_macs_per_cycle = 0;
  std::uint32_t i8_macs_per_cycle = 0;
  std::uint32_t f32_ops_per_cycle = 0;
  std::uint64_t opcodes = 0;
};

/// Errors of all calls: npu-refused (what the accelerator said, by status and reason), npu-no-memory, npu-busy,
/// npu-failed (the device does not answer, or answers nonsense). In threads.
class Npu {
 public:
  [[nodiscard]] virtual const Info& info() const = 0;

  /// Registers kernel memory, which stays until it is released: RegionFlags of abi::npu::region_flag. Returns the
  /// handle that commands name it by.
  virtual std::expected<std::uint32_t, kernel::NamedError> register_region(std::span<std::byte> memory,
                                                                           std::uint32_t flags) = 0;
  /// npu-busy: a job in flight names it.
  virtual kernel::Outcome release_region(std::uint32_t handle) = 0;

  /// Takes an idle job; it comes back by Job::wait(). A thread of a server waits here until the server has NPU time
  /// left. An error: it was not taken, and is idle.
  virtual kernel::Outcome submit(Job& job) = 0;
  /// Asks for the end of a job in flight, which comes within one command; wait for it. Of one that is not: nothing.
  virtual void abort(Job& job) = 0;
  /// Submits and waits, and aborts when the thread is asked to stop. The job's end is in job.end().
  kernel::Outcome run(Job& job);
  /// Aborts a job in flight and waits for its end, even in a thread that is asked to stop.
  void end(Job& job);

  /// Every job ends (Status::Reset), and every region is registered anew: handles stay.
  virtual kernel::Outcome reset() = 0;
  /// Waits until no job that was submitted before is in flight.
  virtual kernel::Outcome flush() = 0;
  virtual kernel::Outcome set_power(abi::npu::Power power) = 0;
  virtual std::expected<abi::npu::Counters, kernel::NamedError> read_counters() = 0;

 protected:
  ~Npu() = default;

  // For who runs jobs.

  /// A job's memory, as the accelerator sees it.
  struct Block {
    std::span<std::byte> header;
    std::span<std::byte> commands;  ///< room for as many as the job has
    std::span<std::byte> result;
  };
  static Block block(Job& job);
  static abi::npu::JobHeader& header(Job& job) { return job.header_; }
  static RegionSet& regions(Job& job) { return job.regions_; }
  static std::atomic<bool>& abort_flag(Job& job) { return job.abort_; }
  static Job::Known& known(Job& job) { return job.known_; }
  static std::span<const abi::npu::Command> commands(const Job& job) { return {job.commands_.get(), job.count_}; }

  /// An idle job is in flight from here on, and has a header: an id of its own, origin and priority of the running
  /// thread, the deadline that its options state.
  static void begin(Job& job);
  /// It is not any more. From any context; the job may be gone after this.
  static void finish(Job& job, const JobEnd& end);
  /// As finish(), of one that was not taken after all: nothing is counted.
  static void take_back(Job& job);

 private:
  static void release(Job& job);
};

/// What this kernel uses. Set at boot, before its first user; there is always one.
Npu& npu();
void set_npu(Npu& npu);

}  // namespace guest::npu
