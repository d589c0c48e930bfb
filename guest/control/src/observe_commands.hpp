// Commands that show programs what the kernel has recorded (command_table.cpp).
#pragma once

#include "handlers.hpp"
#include "watch_arguments.hpp"

namespace guest::control {

inline constexpr ArgumentSpec kHistogramsArguments[] = {
    kMetricsPrefix,
    {.name = "skip",
     .type = ArgumentType::Integer,
     .max = 1'000'000,
     .help = "pass over so many, to read them in pieces"},
    {.name = "frozen", .type = ArgumentType::Bool, .help = "as they were when the history was frozen, if it was"}};
void render_histograms(kernel::TextOutput& output, const CborValue& result);
inline constexpr Command kHistogramsCommand = {
    .name = "histograms",
    .help = "times as they were counted: how many of which length",
    .details =
        "A bucket is its smallest and largest time and how many there were. left_off: those behind the last one.",
    .arguments = kHistogramsArguments,
    .rights = abi::control::Rights::Observe,
    .handler = handle_histograms,
    .render = render_histograms};

inline constexpr ArgumentSpec kWatchHistoryArguments[] = {
    kLookInterval,
    kEventCount,
    {.name = "from_start", .type = ArgumentType::Bool, .help = "first what is kept of before; no unless given"}};
inline constexpr Command kWatchHistoryCommand = {
    .name = "watch history",
    .help = "the metrics as the machine has sampled them",
    .details = "Of a scenario with observe. The first event has all, the others what has changed.",
    .arguments = kWatchHistoryArguments,
    .rights = abi::control::Rights::Observe,
    .handler = handle_watch_history,
    .render_event = render_map};

inline constexpr ArgumentSpec kTraceNamesArguments[] = {
    {.name = "graph", .type = ArgumentType::Text, .min = 1, .max = graph::kMaxGraphName, .help = "only of this graph"}};
inline constexpr Command kTraceNamesCommand = {
    .name = "trace names",
    .help = "what the numbers in the trace's events mean",
    .details = "Of threads, graphs and models that there are now; with a graph only that one.",
    .arguments = kTraceNamesArguments,
    .rights = abi::control::Rights::Admin,
    .handler = handle_trace_names};

}  // namespace guest::control
