// A whole job's stream (docs/npu.md, Jobs): every command of it is checked before its first one runs.
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "abi/npu.hpp"
#include "npu/stream/checked_command.hpp"

namespace npu {

/// What one job may be.
struct JobLimits {
  std::uint32_t max_commands = 4096;
  std::uint64_t max_cycles = 16'000'000'000;  ///< of a job that states no limit; no job may state more
};

/// Why a job is refused.
struct JobFault {
  Fault fault;
  std::uint32_t command = abi::npu::kNoCommand;  ///< the one at fault; kNoCommand: the header
  /// As JobResult has it: of what is at fault, bytes from the first command; 0 without one.
  [[nodiscard]] std::uint32_t stream_offset() const;
};

/// The most cycles that a job with this header may have: its own limit where it is lower than the device's.
std::uint64_t cycle_limit(const abi::npu::JobHeader& header, const JobLimits& limits);

/// The header alone: what can be said before memory for the commands is found.
std::expected<void, JobFault> check_job_header(const abi::npu::JobHeader& header, const JobLimits& limits);

/// Checks a job. `commands` are as many as the header says, in the caller's own copy; `checked` has room for as many,
/// and is unspecified after a fault. Returns the cost of all: it is the sum of theirs.
std::expected<Cost, JobFault> check_job(const abi::npu::JobHeader& header, std::span<const abi::npu::Command> commands,
                                        const Regions& regions, const Model& model, const JobLimits& limits,
                                        std::span<Checked> checked);
/// The same for who wants to know its cost, and checks each command again before it runs it.
std::expected<Cost, JobFault> measure_job(const abi::npu::JobHeader& header,
                                          std::span<const abi::npu::Command> commands, const Regions& regions,
                                          const Model& model, const JobLimits& limits);

}  // namespace npu
