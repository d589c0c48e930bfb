// A channel: a ring of tensor handles between two operators, with what happens when it is full, what may flow through
// it, and what is counted.
//
// Neither send() nor receive() waits. Who wants to, waits by this protocol, in which no wake-up is lost
// (docs/graph.md):
//
//   consumer                                          producer
//     loop:                                             send()
//       receive() -> something: done                      .wake_consumer: wake the consumer's thread
//       await_element() -> false: look again
//                       -> true: sleep until woken
//
// and the same the other way round: send() that is Full, await_room(), and Received::wake_producer. A wake-up may come
// to who does not sleep any more, or does not sleep yet: the executor must keep it for the next sleep, as a semaphore
// does, and who was woken looks again.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/graph/spsc_ring.hpp"
#include "guest/graph/tensor.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::graph {

/// What becomes of a tensor that is sent into a full channel.
enum class ChannelPolicy : std::uint8_t {
  Block,       ///< the producer keeps it and waits for room
  DropOldest,  ///< it takes the place of the oldest one, which is freed
  DropNewest,  ///< it is freed
};
/// "block", "drop-oldest", "drop-newest".
std::string_view to_string(ChannelPolicy policy);

enum class SendOutcome : std::uint8_t {
  Sent,
  Full,           ///< Block: nothing changed, the caller has the tensor still
  DroppedOldest,  ///< sent, and the oldest tensor of the channel lost its reference
  DroppedNewest,  ///< this tensor was not sent, and lost its reference
};

struct [[nodiscard]] SendResult {
  SendOutcome outcome;
  bool wake_consumer;    ///< the consumer waits, and nobody else will wake it
  TensorHandle dropped;  ///< of DroppedOldest and DroppedNewest, as a name: it may be stale by now
};

struct [[nodiscard]] Received {
  TensorRef tensor;    ///< none: the channel is empty
  bool wake_producer;  ///< the producer waits, and nobody else will wake it
};

/// The figures may be of different moments while tensors flow. `sent` and `received` are modulo 2^48, which is 325 days
/// of ten million a second.
struct ChannelMetrics {
  std::uint32_t depth;
  std::uint32_t high_water;  ///< the most at a time, as the producer saw it
  std::uint64_t sent;        ///< went in: received, dropped as oldest, or still there
  std::uint64_t received;
  std::uint64_t stalls;  ///< how often the producer had to wait: from await_room() to its wake-up is once
  std::uint64_t dropped_oldest;
  std::uint64_t dropped_newest;
};

/// One producer and one consumer at a time, each on any CPU; the rest from anywhere. All tensors are of one arena.
class Channel {
 public:
  using Slot = SpscRing::Slot;
  static constexpr std::uint32_t kMaxCapacity = SpscRing::kMaxCapacity;

  /// `slots`: as many as the capacity, 1 to kMaxCapacity; the caller's. They and the arena outlive the channel.
  /// `graph`: of which it is in the trace.
  Channel(std::uint32_t id, std::span<Slot> slots, ChannelPolicy policy, TensorArena& arena, std::uint32_t graph = 0)
      : ring_(slots), arena_(arena), id_(id), graph_(graph), policy_(policy) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  /// Frees what is left in it. Nobody sends or receives any more.
  ~Channel();

  // ---- producer
  // ------------------------------------------------------------------------------------------------------

  /// send() will not be Full.
  [[nodiscard]] bool has_room() { return policy_ != ChannelPolicy::Block || ring_.has_room(); }
  /// Sends a tensor of the arena (none panics). `tensor` is none afterwards, unless the outcome is Full.
  SendResult send(TensorRef& tensor);
  /// After Full. True: the channel is full, and the receive() that makes room will say wake_producer; false: there is
  /// room. Counted as a stall, unless the producer waits already: one that was woken for another reason looks again.
  [[nodiscard]] bool await_room();

  // ---- consumer
  // ------------------------------------------------------------------------------------------------------

  /// receive() will give something.
  [[nodiscard]] bool has_element() { return ring_.has_element(); }
  Received receive();
  /// After nothing was received. True: the channel is empty, and the send() that brings something will say
  /// wake_consumer; false: there is something.
  [[nodiscard]] bool await_element() { return ring_.await_element(); }
  /// Receives all that was sent before the call, and frees it. Returns how many; they count as received. The producer
  /// may wait for room: the caller wakes it.
  std::uint32_t drain();

  // ---- anybody
  // -------------------------------------------------------------------------------------------------------

  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] std::uint32_t capacity() const { return ring_.capacity(); }
  [[nodiscard]] ChannelPolicy policy() const { return policy_; }
  [[nodiscard]] std::uint32_t depth() const { return ring_.depth(); }
  [[nodiscard]] ChannelMetrics metrics() const;
  /// What flows through it; 0: nobody has said yet. bind_channel() (schema.hpp) sets it.
  [[nodiscard]] std::uint32_t schema() const { return schema_.load(std::memory_order_relaxed); }
  /// Sets the schema where there is none. Returns which one it is now.
  std::uint32_t bind_schema(std::uint32_t schema);
  /// Takes a binding back, for whoever made it and could not do the rest. False: it is not bound to `schema`.
  bool unbind_schema(std::uint32_t schema);

 private:
  /// A figure that the producer writes and anybody reads.
  class Figure {
   public:
    // Release: who reads it finds the ring as it was then, or later.
    void add_one() { value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
    [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_acquire); }

   private:
    std::atomic<std::uint64_t> value_{0};
  };

  SendResult send_into_full(TensorRef& tensor);
  SendResult send_over(TensorRef& tensor);

  SpscRing ring_;
  // Written once, or by the control plane.
  TensorArena& arena_;
  std::uint32_t id_;
  std::uint32_t graph_;
  std::atomic<std::uint32_t> schema_{0};
  ChannelPolicy policy_;
  // The producer's, in a line of its own.
  alignas(kernel::kCacheLineBytes) Figure stalls_;
  Figure dropped_oldest_;
  Figure dropped_newest_;
};

// A hop is send() and receive(): inline, they take some sixty instructions together.

[[gnu::always_inline]] inline SendResult Channel::send(TensorRef& tensor) {
  kernel::require(tensor.arena() == &arena_, "a tensor of another arena, or none, is sent");
  if (!ring_.push(static_cast<std::uint32_t>(tensor.handle()))) [[unlikely]] {
    const SendResult result = send_into_full(tensor);
    // One by one: the compiler keeps what a call has returned as a whole in memory, and with it what is sent at once.
    return {.outcome = result.outcome, .wake_consumer = result.wake_consumer, .dropped = result.dropped};
  }
  (void)tensor.detach();  // the ring has the reference
  return {.outcome = SendOutcome::Sent, .wake_consumer = ring_.take_waiting_consumer(), .dropped = TensorHandle::None};
}

[[gnu::always_inline]] inline Received Channel::receive() {
  std::uint32_t handle = 0;
  if (policy_ == ChannelPolicy::DropOldest) {
    if (!ring_.pop_contended(handle)) [[unlikely]] {
      return {.tensor = {}, .wake_producer = false};
    }
    return {.tensor = arena_.adopt_held(TensorHandle{handle}), .wake_producer = false};  // nobody waits for room
  }
  if (!ring_.pop(handle)) [[unlikely]] {
    return {.tensor = {}, .wake_producer = false};
  }
  return {.tensor = arena_.adopt_held(TensorHandle{handle}), .wake_producer = ring_.take_waiting_producer()};
}

}  // namespace guest::graph
