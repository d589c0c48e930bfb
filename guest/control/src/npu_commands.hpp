// Commands of the NPU, for the table (command_table.cpp).
#pragma once

#include "abi/npu.hpp"
#include "guest/npu/job_history.hpp"
#include "handlers.hpp"

namespace guest::control {

/// Most jobs in one answer of `npu jobs`: what the shell makes of them fits its 48 KiB, at some 300 bytes each.
inline constexpr std::uint64_t kMaxNpuJobs = npu::JobHistory::kPlaces;
inline constexpr std::uint64_t kMaxBenchSize = 1024;
/// Of `npu bench`: sizes are whole blocks of 32 elements.
inline constexpr std::uint64_t kBenchSizeStep = 32;
inline constexpr std::uint64_t kMaxBenchCount = 10'000;
/// Jobs in flight at a time: as many as threads without a server have places for on the monitor's device.
inline constexpr std::uint64_t kMaxBenchDepth = 16;

inline constexpr std::string_view kNpuPriorities = "low|normal|high|critical";

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
inline constexpr ArgumentSpec kNpuBenchArguments[] = {
    {.name = "command",
     .type = ArgumentType::Text,
     .min = 1,
     .max = 32,
     .help = "one of those that 'npu bench' names; all unless given, or 'all'"},
    {.name = "size",
     .type = ArgumentType::Integer,
     .min = kBenchSizeStep,
     .max = kMaxBenchSize,
     .help = "S of the shapes, a multiple of 32 up to 1024; 64 unless given"},
    {.name = "count",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = kMaxBenchCount,
     .help = "jobs of each command, 20 unless given"},
    {.name = "depth",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = kMaxBenchDepth,
     .help = "jobs in flight at a time, 1 unless given; where the CPU runs them they run one by one"},
    {.name = "priority",
     .type = ArgumentType::Choice,
     .choices = kNpuPriorities,
     .help = "of the jobs; normal unless given"},
    {.name = "cycle_limit",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = UINT64_MAX,
     .help = "a job that the model finds longer is refused; the accelerator's limit unless given"}};

inline constexpr Command kNpuBenchCommand = {
    .name = "npu bench",
    .help = "what commands of the NPU take: cycles of the model, and measured time",
    .details =
        "A job of one command each, after one that does not count. latency: from submission to end, by the guest's "
        "clock.\nrun: from the command's start to its end, by the accelerator's; mb_per_s and mop_per_s are of its "
        "median,\nwith the bytes that the model counts, and each addition and multiplication as an operation.",
    .arguments = kNpuBenchArguments,
    .rights = abi::control::Rights::Submit,
    .handler = handle_npu_bench,
    .render = render_npu_bench};
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
inline constexpr Command kNpudemoCommand = {
    .name = "npudemo",
    .help = "one job of the NPU, step by step: region, submission, interrupt, result, check",
    .details = "A multiplication of two matrices of integers. Fails if a number is not what the CPU finds.",
    .arguments = {},
    .rights = abi::control::Rights::Submit,
    .handler = handle_npudemo};

}  // namespace guest::control
