// What the commands that send events take (command_table.cpp).
#pragma once

#include "guest/control/command.hpp"

namespace guest::control {

inline constexpr std::uint64_t kMaxEvents = 1'000'000'000;
inline constexpr std::uint64_t kMaxIntervalMs = 3'600'000;

inline constexpr ArgumentSpec kEventCount = {.name = "count",
                                             .type = ArgumentType::Integer,
                                             .min = 1,
                                             .max = kMaxEvents,
                                             .help = "after so many it ends; without end unless given"};
inline constexpr ArgumentSpec kWatchTraceArguments[] = {
    {.name = "interval_ms",
     .type = ArgumentType::Integer,
     .min = 10,
     .max = kMaxIntervalMs,
     .help = "how often to look for new ones, in milliseconds; 100 unless given"},
    kEventCount};

}  // namespace guest::control
