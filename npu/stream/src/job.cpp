#include "npu/stream/job.hpp"

#include <cstddef>

#include "arithmetic.hpp"

namespace npu {

namespace {

using abi::npu::JobHeader;
using abi::npu::Reason;
using abi::npu::Status;

std::unexpected<JobFault> refuse(Status status, Reason reason) {
  return std::unexpected(JobFault{.fault = {.status = status, .reason = reason}});
}

void add(Cost& sum, const Cost& each) {
  sum.cycles = saturating_add(sum.cycles, each.cycles);
  sum.compute_cycles = saturating_add(sum.compute_cycles, each.compute_cycles);
  sum.memory_cycles = saturating_add(sum.memory_cycles, each.memory_cycles);
  sum.bytes_read = saturating_add(sum.bytes_read, each.bytes_read);
  sum.bytes_written = saturating_add(sum.bytes_written, each.bytes_written);
}

}  // namespace

std::uint64_t cycle_limit(const JobHeader& header, const JobLimits& limits) {
  return header.cycle_limit != 0 && header.cycle_limit < limits.max_cycles ? header.cycle_limit.value()
                                                                           : limits.max_cycles;
}

std::uint32_t JobFault::stream_offset() const {
  return command == abi::npu::kNoCommand
             ? 0
             : command * static_cast<std::uint32_t>(sizeof(abi::npu::Command)) + fault.field_offset;
}

std::expected<void, JobFault> check_job_header(const JobHeader& header, const JobLimits& limits) {
  if (header.stream_version != abi::npu::kStreamVersion) {
    return refuse(Status::Parse, Reason::StreamVersion);
  }
  if (header.priority >= abi::npu::kPriorities) {
    return refuse(Status::Parse, Reason::Priority);
  }
  if ((header.flags & ~unsigned{abi::npu::job_flag::kAtModelledTime}) != 0) {
    return refuse(Status::Parse, Reason::Flags);
  }
  std::uint64_t reserved = header.reserved0;
  for (const abi::Le64& field : header.reserved) {
    reserved |= field;
  }
  if (reserved != 0) {
    return refuse(Status::Parse, Reason::ReservedField);
  }
  if (header.commands > limits.max_commands) {
    return refuse(Status::Budget, Reason::TooManyCommands);
  }
  return {};
}

namespace {

/// `keep` is given each command that was checked, and its index.
template <typename Keep>
std::expected<Cost, JobFault> check_commands(const JobHeader& header, std::span<const abi::npu::Command> commands,
                                             const Regions& regions, const Model& model, const JobLimits& limits,
                                             Keep&& keep) {
  Cost sum;
  for (std::uint32_t i = 0; i < header.commands; ++i) {
    const auto command = check_command(commands[i], regions, model);
    if (!command) {
      return std::unexpected(JobFault{.fault = command.error(), .command = i});
    }
    keep(i, *command);
    add(sum, command->cost);
    if (sum.cycles > cycle_limit(header, limits)) {
      return std::unexpected(JobFault{.fault = {.status = Status::Budget, .reason = Reason::CycleLimit}, .command = i});
    }
  }
  return sum;
}

}  // namespace

std::expected<Cost, JobFault> check_job(const JobHeader& header, std::span<const abi::npu::Command> commands,
                                        const Regions& regions, const Model& model, const JobLimits& limits,
                                        std::span<Checked> checked) {
  if (const auto fine = check_job_header(header, limits); !fine) {
    return std::unexpected(fine.error());
  }
  if (commands.size() < header.commands || checked.size() < header.commands) {
    return refuse(Status::Parse, Reason::ShortBuffer);
  }
  return check_commands(header, commands, regions, model, limits,
                        [&](std::uint32_t i, const Checked& command) { checked[i] = command; });
}

std::expected<Cost, JobFault> measure_job(const JobHeader& header, std::span<const abi::npu::Command> commands,
                                          const Regions& regions, const Model& model, const JobLimits& limits) {
  if (const auto fine = check_job_header(header, limits); !fine) {
    return std::unexpected(fine.error());
  }
  if (commands.size() < header.commands) {
    return refuse(Status::Parse, Reason::ShortBuffer);
  }
  return check_commands(header, commands, regions, model, limits, [](std::uint32_t, const Checked&) {});
}

}  // namespace npu
