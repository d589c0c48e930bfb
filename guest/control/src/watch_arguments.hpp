// What the commands that send events take (command_table.cpp).
#pragma once

#include "graph_arguments.hpp"
#include "guest/control/command.hpp"
#include "metrics.hpp"

namespace guest::control {

inline constexpr std::uint64_t kMaxEvents = 1'000'000'000;
inline constexpr std::uint64_t kMaxIntervalMs = 3'600'000;

inline constexpr ArgumentSpec kEventCount = {.name = "count",
                                             .type = ArgumentType::Integer,
                                             .min = 1,
                                             .max = kMaxEvents,
                                             .help = "after so many it ends; without end unless given"};
inline constexpr ArgumentSpec kLookInterval = {
    .name = "interval_ms",
    .type = ArgumentType::Integer,
    .min = 10,
    .max = kMaxIntervalMs,
    .help = "how often to look for new ones, in milliseconds; 100 unless given"};
inline constexpr ArgumentSpec kWatchMetricsArguments[] = {{.name = "interval_ms",
                                                           .type = ArgumentType::Integer,
                                                           .min = 100,
                                                           .max = kMaxIntervalMs,
                                                           .help = "how often, in milliseconds; 1000 unless given"},
                                                          kEventCount,
                                                          kMetricsPrefix,
                                                          kMetricsGraph};
inline constexpr ArgumentSpec kWatchChannelArguments[] = {
    kGraphName,
    {.name = "channel", .type = ArgumentType::Integer, .required = true, .max = 65'534, .help = "its id"},
    {.name = "interval_ms",
     .type = ArgumentType::Integer,
     .max = kMaxIntervalMs,
     .help = "from figures to figures, in milliseconds; 1000 unless given, 0: no figures, only tensors"},
    kEventCount};
inline constexpr ArgumentSpec kWatchLogArguments[] = {
    {.name = "level",
     .type = ArgumentType::Choice,
     .choices = "quiet|info|debug",
     .help = "only lines of this level and below; debug unless given"},
    {.name = "last",
     .type = ArgumentType::Integer,
     .max = 1000,
     .help = "first the newest of the lines that are kept; none unless given"},
    kLookInterval,
    kEventCount};
inline constexpr ArgumentSpec kWatchAuditArguments[] = {
    {.name = "from",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = ~std::uint64_t{0},
     .help = "number of the first record; what is kept no more counts as lost. Only new ones unless given"},
    kEventCount,
    {.name = "whole",
     .type = ArgumentType::Bool,
     .help = "requests wait while this is behind, so that it loses none; no unless given"}};
inline constexpr ArgumentSpec kWatchTraceArguments[] = {
    kLookInterval,
    kEventCount,
    {.name = "raw", .type = ArgumentType::Bool, .help = "as records of 32 bytes, for programs; no unless given"},
    {.name = "from_start", .type = ArgumentType::Bool, .help = "first what is kept of before; no unless given"}};

}  // namespace guest::control
