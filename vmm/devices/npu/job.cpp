#include "vmm/devices/npu/job.hpp"

#include <algorithm>

#include "npu/simd/kernels.hpp"
#include "vmm/devices/npu/clock.hpp"

namespace vmm::npu {
namespace {

using abi::npu::Command;
using abi::npu::JobHeader;

/// Handles of all operands, each once.
std::vector<std::uint32_t> regions_of(const std::vector<::npu::Checked>& commands) {
  std::vector<std::uint32_t> handles;
  for (const ::npu::Checked& command : commands) {
    for (const ::npu::Operand& operand : command.operands) {
      if (operand.data != nullptr) handles.push_back(operand.region);
    }
  }
  std::ranges::sort(handles);
  const auto [first, last] = std::ranges::unique(handles);
  handles.erase(first, last);
  return handles;
}

}  // namespace

CommandSet real_commands() {
  return {.check = ::npu::check_job, .partition = ::npu::partition, .kernels = &::npu::simd_kernels()};
}

std::uint64_t Job::due_ns() const {
  if (deadline_ns == 0 || deadline_ns > kNever - arrived_ns) return kNever;
  return arrived_ns + deadline_ns;
}

Outcome outcome_of(const ::npu::JobFault& fault) {
  return {.status = fault.fault.status,
          .reason = fault.fault.reason,
          .command = fault.command,
          .stream_offset = fault.stream_offset()};
}

std::expected<std::unique_ptr<Job>, Outcome> make_job(const JobHeader& header, std::span<const Command> commands,
                                                      const CommandSet& set, const ::npu::Regions& regions,
                                                      const ::npu::Model& model, const Limits& limits) {
  auto job = std::make_unique<Job>();
  job->commands.resize(commands.size());
  if (const auto checked = set.check(header, commands, regions, model, limits.job, job->commands); !checked) {
    return std::unexpected(outcome_of(checked.error()));
  }
  job->id = header.id;
  job->priority = static_cast<abi::npu::Priority>(header.priority);
  job->at_modelled_time = (header.flags & abi::npu::job_flag::kAtModelledTime) != 0;
  job->deadline_ns = header.deadline_ns;
  job->regions = regions_of(job->commands);
  return job;
}

abi::npu::JobResult result_of(const Job& job) {
  abi::npu::JobResult result{};
  result.status = static_cast<std::uint32_t>(job.outcome.status);
  result.reason = static_cast<std::uint32_t>(job.outcome.reason);
  result.id = job.id;
  result.command = job.outcome.command;
  result.stream_offset = job.outcome.stream_offset;
  result.cycles = job.cycles;
  result.arrived_ns = job.arrived_ns;
  result.started_ns = job.started_ns;
  result.finished_ns = job.finished_ns;
  result.preemptions = job.preemptions;
  return result;
}

}  // namespace vmm::npu
