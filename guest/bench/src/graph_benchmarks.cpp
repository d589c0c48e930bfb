// What a hop from one operator to the next costs, and what an operator itself, on one CPU: nothing of it waits.
#include <utility>

#include "guest/bench/benchmark.hpp"
#include "guest/graph/channel.hpp"
#include "guest/graph/operator.hpp"
#include "guest/graph/operators/builtin.hpp"
#include "guest/kernel/panic.hpp"
#include "nothing.hpp"

namespace guest::bench {
namespace {

constexpr std::uint32_t kMany = 128;     ///< operations in a sample, where one costs less than a tick of a slow counter
constexpr std::uint32_t kCapacity = 64;  ///< of the channels, so that the wrap is part of it
constexpr std::uint32_t kTensors = 4;
constexpr std::string_view kNoMemory = "no memory";
constexpr std::string_view kLost = "what was sent was not received";

using graph::Channel;
using graph::ChannelPolicy;
using graph::SpscRing;
using graph::TensorRef;

Sample take_ring(const Benchmark& self) {
  static constinit SpscRing::Slot slots[kCapacity] = {};
  SpscRing ring(slots);
  std::uint32_t handle = 1;
  const std::uint64_t ticks = time_of(self.operations, [&] {
    (void)ring.push(handle);
    (void)ring.pop(handle);
  });
  return handle == 1 && ring.taken() == self.operations ? Sample(ticks) : std::unexpected(kLost);
}

graph::TensorArena& arena() {
  alignas(graph::TensorArena::kDataAlignment) static constinit std::byte memory[8192] = {};
  static constinit graph::TensorArena made;
  static constinit bool started = false;
  if (!started) {
    kernel::require(made.start(memory, kTensors) == kernel::Status::Ok, "no arena for benchmarks");
    started = true;
  }
  return made;
}

constexpr graph::TensorInfo kInfo{.shape = {.rank = 1, .dims = {64}}};

Sample take_channel(const Benchmark& self) {
  static constinit Channel::Slot slots[kCapacity] = {};
  Channel channel(1, slots, static_cast<ChannelPolicy>(self.parameter), arena());
  auto made = arena().allocate(kInfo);
  if (!made) {
    return std::unexpected(kNoMemory);
  }
  TensorRef tensor = std::move(*made);
  const std::uint64_t ticks = time_of(self.operations, [&] {
    (void)channel.send(tensor);
    tensor = channel.receive().tensor;
  });
  return tensor ? Sample(ticks) : std::unexpected(kLost);
}

Sample take_tensor(const Benchmark& self) {
  graph::TensorArena& from = arena();
  return time_of(self.operations, [&] { (void)from.allocate(kInfo); });
}

/// A sample of calls of `code`, which leaves its tensor in `left_in`. The same instructions for every operator.
[[gnu::noinline]] Sample take_call(const Benchmark& self, graph::OperatorCode& code, graph::Firing& firing,
                                   TensorRef& left_in) {
  auto made = arena().allocate(kInfo);
  if (!made) {
    return std::unexpected(kNoMemory);
  }
  TensorRef tensor = std::move(*made);
  const std::uint64_t ticks = time_of(self.operations, [&] {
    firing.input(0) = std::move(tensor);
    (void)code.fire(firing);
    tensor = std::move(left_in);
  });
  return tensor ? Sample(ticks) : std::unexpected(kLost);
}

constexpr graph::Firing::Spec kPorts{.inputs = 1, .outputs = 1};

Sample take_nothing(const Benchmark& self) {
  const auto code = make_nothing();
  graph::Firing firing(arena(), kPorts);
  return code != nullptr ? take_call(self, *code, firing, firing.input(0)) : std::unexpected(kNoMemory);
}

Sample take_pass(const Benchmark& self) {
  for (const graph::OperatorKind& kind : graph::builtin_kinds()) {
    if (kind.name == "split") {
      const auto code = kind.make(*graph::Parameters::check(kind.parameters, {}));
      graph::Firing firing(arena(), kPorts);
      return code ? take_call(self, **code, firing, firing.output(0)) : std::unexpected(code.error().name);
    }
  }
  return std::unexpected(std::string_view("there are no operators of the kind 'split'"));
}

constexpr Benchmark kBenchmarks[] = {
    {.name = "ring", .measures = "enqueuing a handle and dequeuing it", .operations = kMany, .take = take_ring},
    {.name = "channel-block",
     .measures = "sending a tensor through a channel that blocks, and receiving it",
     .operations = kMany,
     .take = take_channel,
     .parameter = static_cast<std::uint64_t>(ChannelPolicy::Block)},
    {.name = "channel-drop-oldest",
     .measures = "sending a tensor through a channel that drops the oldest, and receiving it",
     .operations = kMany,
     .take = take_channel,
     .parameter = static_cast<std::uint64_t>(ChannelPolicy::DropOldest)},
    {.name = "channel-drop-newest",
     .measures = "sending a tensor through a channel that drops the newest, and receiving it",
     .operations = kMany,
     .take = take_channel,
     .parameter = static_cast<std::uint64_t>(ChannelPolicy::DropNewest)},
    {.name = "tensor",
     .measures = "allocating a tensor of 64 bytes and freeing it",
     .operations = kMany,
     .take = take_tensor},
    {.name = "operator-nothing",
     .measures = "calling an operator that does nothing, with its tensor put in and taken back",
     .operations = kMany,
     .take = take_nothing},
    {.name = "operator-pass",
     .measures = "the same of one that passes its tensor on",
     .operations = kMany,
     .take = take_pass},
};

}  // namespace

std::span<const Benchmark> graph_benchmarks() { return kBenchmarks; }

}  // namespace guest::bench
