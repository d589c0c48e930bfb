// Commands of the NPU, for the table (command_table.cpp).
#pragma once

#include "abi/npu.hpp"
#include "guest/npu/job_history.hpp"
#include "handlers.hpp"

namespace guest::control {

/// Most jobs in one answer of `npu jobs`: what the shell makes of them fits its 48 KiB, at some 300 bytes each.
inline constexpr std::uint64_t kMaxNpuJobs = npu::JobHistory::kPlaces;
inline constexpr ArgumentSpec kNpuJobsArguments[] = {{.name = "count",
                                                      .type = ArgumentType::Integer,
                                                      .min = 1,
                                                      .max = kMaxNpuJobs,
                                                      .help = "newest jobs to show, from 1 to 128, 16 unless given"}};
inline constexpr ArgumentSpec kNpuPowerArguments[] = {{.name = "state",
                                                       .type = ArgumentType::Choice,
                                                       .required = true,
                                                       .choices = "on|gated|off",
                                                       .help = "gated: jobs wait between commands; off: they end"}};
inline constexpr Command kNpuCountersCommand = {
    .name = "npu counters",
    .help = "what the accelerator and its driver have counted",
    .details = "device: by the accelerator itself, since it was made; driver: by the kernel, since boot.",
    .arguments = {},
    .rights = abi::control::Rights::Observe,
    .handler = handle_npu_counters};
inline constexpr Command kNpuJobsCommand = {
    .name = "npu jobs",
    .help = "jobs in flight, and the newest that have ended",
    .details = "Of 128. server: that of the thread that submitted it. latency_ns: from its submission to its end.",
    .arguments = kNpuJobsArguments,
    .rights = abi::control::Rights::Observe,
    .handler = handle_npu_jobs};
inline constexpr Command kNpuPowerCommand = {
    .name = "npu power",
    .help = "turn the NPU on or off, or hold its clock",
    .details = "off: jobs end with status reset, and new ones are refused, until it is on again.",
    .arguments = kNpuPowerArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_npu_power};
inline constexpr Command kNpuResetCommand = {
    .name = "npu reset",
    .help = "end every job of the NPU, and begin anew",
    .details = "They end with status reset. Regions are registered anew: who has one does not notice.",
    .arguments = {},
    .rights = abi::control::Rights::Admin,
    .handler = handle_npu_reset};
inline constexpr Command kNpuStatusCommand = {
    .name = "npu status",
    .help = "what runs the NPU's jobs: its limits, its model, and its state",
    .details = "accelerator: device, or cpu where the machine has none (scenario: npu). Cycles are the model's.",
    .arguments = {},
    .rights = abi::control::Rights::Observe,
    .handler = handle_npu_status};
}  // namespace guest::control
