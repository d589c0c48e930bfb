#include "guest/npu/device/answers.hpp"

#include <cstring>

namespace guest::npu {
namespace {

using abi::npu::JobResult;
using abi::npu::Reason;
using abi::npu::Status;

constexpr auto kLastReason = static_cast<std::uint32_t>(Reason::WriteOnlyRegion);

/// Ok, and only that, has no reason.
bool is_pair(std::uint32_t status, std::uint32_t reason) {
  return status < abi::npu::kStatuses && reason <= kLastReason && (status == 0) == (reason == 0);
}

bool is_place(const JobResult& result, std::uint32_t commands) {
  if (result.command == abi::npu::kNoCommand) {
    return result.stream_offset == 0;
  }
  const std::uint64_t begin = std::uint64_t{result.command} * sizeof(abi::npu::Command);
  return result.command < commands && result.stream_offset >= begin &&
         result.stream_offset < begin + sizeof(abi::npu::Command);
}

bool are_times(const JobResult& result) {
  if (result.started_ns == 0) {
    return result.finished_ns >= result.arrived_ns;
  }
  return result.arrived_ns <= result.started_ns && result.started_ns <= result.finished_ns;
}

bool within(std::uint64_t value, std::uint64_t least, std::uint64_t most) { return least <= value && value <= most; }

}  // namespace

std::optional<JobEnd> check_result(std::span<const std::byte> bytes, const ExpectedResult& expected) {
  JobResult result{};
  if (bytes.size() < sizeof(result)) {
    return std::nullopt;
  }
  std::memcpy(&result, bytes.data(), sizeof(result));
  if (!is_pair(result.status, result.reason) || result.id != expected.id || !is_place(result, expected.commands) ||
      !are_times(result) || result.cycles > expected.most_cycles) {
    return std::nullopt;
  }
  return JobEnd{.status = static_cast<Status>(result.status.value()),
                .reason = static_cast<Reason>(result.reason.value()),
                .command = result.command,
                .stream_offset = result.stream_offset,
                .cycles = result.cycles,
                .run_ns = result.started_ns == 0 ? 0 : result.finished_ns - result.started_ns,
                .preemptions = result.preemptions};
}

std::optional<Refusal> check_reply(std::span<const std::byte> bytes) {
  abi::npu::ControlReply reply{};
  if (bytes.size() < sizeof(reply)) {
    return std::nullopt;
  }
  std::memcpy(&reply, bytes.data(), sizeof(reply));
  if (!is_pair(reply.status, reply.reason)) {
    return std::nullopt;
  }
  return Refusal{static_cast<Status>(reply.status.value()), static_cast<Reason>(reply.reason.value())};
}

bool is_sane(const abi::npu::DeviceInfo& info) {
  constexpr std::uint64_t kMostRate = 1U << 20;
  constexpr std::uint64_t kMostCycles = std::uint64_t{1} << 40;
  return info.max_jobs >= 1 && info.max_commands >= 1 && info.max_regions >= 1 &&
         within(info.max_job_cycles, 1, kMostCycles) && within(info.max_command_cycles, 1, kMostCycles) &&
         within(info.clock_hz, 1'000'000, 1'000'000'000'000) && within(info.bytes_per_cycle, 1, kMostRate) &&
         within(info.f32_macs_per_cycle, 1, kMostRate) && within(info.i8_macs_per_cycle, 1, kMostRate) &&
         within(info.f32_ops_per_cycle, 1, kMostRate);
}

}  // namespace guest::npu
