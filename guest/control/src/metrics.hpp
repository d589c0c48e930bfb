// All figures of the kernel, each under one flat name (docs/observation.md, "Metrics").
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/control/command.hpp"
#include "guest/control/services.hpp"
#include "guest/graph/run/graph_set.hpp"
#include "guest/kernel/histogram.hpp"

namespace guest::control {

/// The longest one: of an operator whose graph's and own name are as long as they may be, and are there twice.
inline constexpr std::size_t kMaxMetricName = 96;

/// Who wants them. Names are [a-z0-9_]+, valid during the call, and each comes once.
class MetricSink {
 public:
  /// A count, which only grows while what it is of exists (`det reset` sets those of servers back).
  virtual void count(std::string_view name, std::uint64_t value) = 0;
  /// A level, which goes up and down.
  virtual void level(std::string_view name, std::uint64_t value) = 0;
  /// Times in nanoseconds: `name` is what the names of their sum and percentiles begin with, "op_g_a".
  virtual void times(std::string_view name, const kernel::Histogram& histogram) = 0;

  /// False: names are empty, and figures are told apart by their places in the order. To make names takes most of the
  /// time of a gathering.
  [[nodiscard]] virtual bool wants_names() const { return true; }
  /// False: what takes long to find is left out.
  [[nodiscard]] virtual bool wants_all() const { return true; }
  /// What comes next is of the thing with this identity: as long as all identities are the same in the same order, the
  /// same figures come, in the same places.
  virtual void thing(std::uint64_t /*identity*/) {}

 protected:
  ~MetricSink() = default;
};

/// Hands them to `sink`, each time in the same order: the kernel's, its counters in the order of registration, the
/// NPU's, the LLM service's, CPUs, servers, graphs. `only`: those of this graph, and no others. In the control loop's
/// thread, interrupts on: CPUs are asked for their servers.
void gather_metrics(const Services& services, const graph::Graph* only, MetricSink& sink);

/// Most that one answer of `metrics` holds: as many as fit into a frame, and as text into what a shell line may print.
inline constexpr std::uint64_t kMaxMetrics = 400;
/// Most that `metrics --console` prints: the control loop stands still meanwhile.
inline constexpr std::uint64_t kMaxConsoleMetrics = 1024;

inline constexpr ArgumentSpec kMetricsPrefix = {
    .name = "prefix", .type = ArgumentType::Text, .max = kMaxMetricName, .help = "what names begin with"};
inline constexpr ArgumentSpec kMetricsGraph = {
    .name = "graph", .type = ArgumentType::Text, .min = 1, .max = graph::kMaxGraphName, .help = "only of this graph"};
inline constexpr ArgumentSpec kMetricsArguments[] = {
    kMetricsPrefix,
    kMetricsGraph,
    {.name = "count",
     .type = ArgumentType::Integer,
     .min = 1,
     .max = kMaxMetrics,
     .help = "at most so many, 400 unless given"},
    {.name = "skip",
     .type = ArgumentType::Integer,
     .max = 1'000'000,
     .help = "pass over so many, to read them in pieces"},
    {.name = "console",
     .type = ArgumentType::Bool,
     .help = "print them on the console as METRIC lines instead; needs rights of ADMIN"}};

}  // namespace guest::control
