// What a hop from one operator to the next costs, on one CPU: nothing of it waits.
#include <utility>

#include "guest/bench/benchmark.hpp"
#include "guest/graph/channel.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::bench {
namespace {

constexpr std::uint32_t kMany = 128;     ///< operations in a sample, where one costs less than a tick of a slow counter
constexpr std::uint32_t kCapacity = 64;  ///< of the channels, so that the wrap is part of it
constexpr std::uint32_t kTensors = 4;
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
    return std::unexpected(std::string_view("no memory"));
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
};

}  // namespace

std::span<const Benchmark> graph_benchmarks() { return kBenchmarks; }

}  // namespace guest::bench
