#include "vmm/devices/npu/job.hpp"

#include <algorithm>
#include <limits>

#include "vmm/devices/npu/clock.hpp"

namespace vmm::npu {
namespace {

using abi::npu::Command;
using abi::npu::JobHeader;
using abi::npu::Reason;
using abi::npu::Status;

constexpr std::uint8_t kKnownFlags = abi::npu::job_flag::kAtModelledTime;

Outcome at_command(Status status, Reason reason, std::size_t index, std::uint32_t field_offset) {
  return {.status = status,
          .reason = reason,
          .command = static_cast<std::uint32_t>(index),
          .stream_offset = static_cast<std::uint32_t>(index * sizeof(Command)) + field_offset};
}

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

std::uint64_t Job::due_ns() const {
  if (deadline_ns == 0 || deadline_ns > kNever - arrived_ns) return kNever;
  return arrived_ns + deadline_ns;
}

Outcome check_header(const JobHeader& header, const Limits& limits) {
  const auto parse = [](Reason reason) { return Outcome{.status = Status::Parse, .reason = reason}; };
  if (header.stream_version != abi::npu::kStreamVersion) return parse(Reason::StreamVersion);
  if (header.reserved0 != 0 || std::ranges::any_of(header.reserved, [](std::uint64_t value) { return value != 0; })) {
    return parse(Reason::ReservedField);
  }
  if (header.priority >= abi::npu::kPriorities) return parse(Reason::Priority);
  if ((header.flags & ~kKnownFlags) != 0) return parse(Reason::Flags);
  if (header.commands > limits.commands) return {.status = Status::Budget, .reason = Reason::TooManyCommands};
  return {};
}

std::expected<std::unique_ptr<Job>, Outcome> make_job(const JobHeader& header, std::span<const Command> commands,
                                                      const CommandSet& set, const ::npu::Regions& regions,
                                                      const ::npu::Model& model, const Limits& limits) {
  const std::uint64_t wanted = header.cycle_limit;
  const std::uint64_t limit = wanted == 0 ? limits.job_cycles : std::min(wanted, limits.job_cycles);
  auto job = std::make_unique<Job>();
  job->id = header.id;
  job->priority = static_cast<abi::npu::Priority>(header.priority);
  job->at_modelled_time = (header.flags & abi::npu::job_flag::kAtModelledTime) != 0;
  job->deadline_ns = header.deadline_ns;
  job->commands.reserve(commands.size());
  std::uint64_t cycles = 0;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const auto checked = set.check(commands[i], regions, model);
    if (!checked) {
      const ::npu::Fault& fault = checked.error();
      return std::unexpected(at_command(fault.status, fault.reason, i, fault.field_offset));
    }
    if (set.kernels->kernels[static_cast<std::size_t>(checked->opcode)] == nullptr) {
      return std::unexpected(at_command(Status::Parse, Reason::Opcode, i, offsetof(Command, opcode)));
    }
    if (__builtin_add_overflow(cycles, checked->cost.cycles, &cycles) || cycles > limit) {
      return std::unexpected(at_command(Status::Budget, Reason::CycleLimit, i, 0));
    }
    job->commands.push_back(*checked);
  }
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
