// A job: the driver's bytes, checked whole before anything of it runs.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <vector>

#include "abi/npu.hpp"
#include "npu/kernels/kernels.hpp"
#include "npu/stream/checked_command.hpp"
#include "npu/stream/job.hpp"
#include "vmm/devices/npu/packed_weights.hpp"

namespace vmm::npu {

/// What jobs are checked and run with: of the real device those of npu/stream and npu/kernels, whose contracts hold.
struct CommandSet {
  decltype(&::npu::check_job) check = nullptr;
  decltype(&::npu::partition) partition = nullptr;
  const ::npu::KernelSet* kernels = nullptr;  ///< with a kernel for each opcode that `check` takes
};

/// Those of the device as it ships.
CommandSet real_commands();

/// Limits of the device that a driver is told (abi::npu::DeviceInfo).
struct Limits {
  std::uint32_t jobs = 64;  ///< in flight
  /// Of all jobs in flight: a job that is over it waits in its queue. Bounds what a driver can make us remember.
  std::uint32_t commands_in_flight = 16384;
  std::uint32_t regions = 256;
  ::npu::JobLimits job;
};

/// How a job ended, or why it is refused.
struct Outcome {
  abi::npu::Status status = abi::npu::Status::Ok;
  abi::npu::Reason reason = abi::npu::Reason::None;
  std::uint32_t command = abi::npu::kNoCommand;  ///< at fault, or at which it ended
  std::uint32_t stream_offset = 0;               ///< of what is at fault, bytes from the first command
};

struct Job {
  // What the driver asks for.
  std::uint64_t id = 0;
  abi::npu::Priority priority = abi::npu::Priority::Low;
  bool at_modelled_time = false;
  std::uint64_t deadline_ns = 0;  ///< from its arrival; 0: none
  std::vector<::npu::Checked> commands;
  std::vector<std::uint32_t> regions;                        ///< that they name, each once
  std::vector<std::shared_ptr<const PackedWeights>> packed;  ///< copies of weights that they use

  // How far it is; the engine's.
  std::uint64_t number = 0;  ///< of the jobs that arrived, from 1
  std::size_t next_command = 0;
  std::uint64_t next_unit = 0;  ///< of that command
  std::uint64_t cycles = 0;     ///< of the commands that have run
  std::uint64_t arrived_ns = 0;
  std::uint64_t started_ns = 0;  ///< 0: it was not
  std::uint64_t finished_ns = 0;
  std::uint64_t modelled_ns = 0;  ///< when the modelled device is done with the commands that have run
  std::uint32_t preemptions = 0;
  Outcome outcome;  ///< once it has ended

  /// Device time at which it is too late; kNever: none.
  [[nodiscard]] std::uint64_t due_ns() const;
};

/// Makes a job of what the driver sent, the caller's own copies.
/// @param commands as many as the header says
/// @return the job, or why it is refused. Operands point into what `regions` has: keep that as long as the job
std::expected<std::unique_ptr<Job>, Outcome> make_job(const abi::npu::JobHeader& header,
                                                      std::span<const abi::npu::Command> commands,
                                                      const CommandSet& set, const ::npu::Regions& regions,
                                                      const ::npu::Model& model, const Limits& limits);

/// A refusal, as it is reported.
Outcome outcome_of(const ::npu::JobFault& fault);

/// What the driver is told.
abi::npu::JobResult result_of(const Job& job);

}  // namespace vmm::npu
