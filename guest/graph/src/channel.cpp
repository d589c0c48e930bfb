#include "guest/graph/channel.hpp"

#include <utility>

#include "guest/kernel/panic.hpp"

namespace guest::graph {

std::string_view to_string(ChannelPolicy policy) {
  switch (policy) {
    case ChannelPolicy::Block:
      return "block";
    case ChannelPolicy::DropOldest:
      return "drop-oldest";
    case ChannelPolicy::DropNewest:
      return "drop-newest";
  }
  return "?";
}

Channel::~Channel() { (void)drain(); }

bool Channel::has_room() {
  if (policy_ != ChannelPolicy::Block || ring_.has_room()) [[likely]] {
    return true;
  }
  producer_.stalls.add_one();
  return false;
}

SendResult Channel::send(TensorRef& tensor) {
  kernel::require(tensor.arena() == &arena_, "a tensor of another arena, or none, is sent");
  if (policy_ == ChannelPolicy::DropOldest) {
    return send_over(tensor);
  }
  if (!ring_.push(static_cast<std::uint32_t>(tensor.handle()))) [[unlikely]] {
    return refuse(tensor);
  }
  (void)tensor.detach();  // the ring has the reference
  producer_.sent.add_one();
  return {.outcome = SendOutcome::Sent, .wake_consumer = ring_.take_waiting_consumer(), .dropped = TensorHandle::None};
}

SendResult Channel::send_over(TensorRef& tensor) {
  const std::optional<std::uint32_t> oldest = ring_.push_over(static_cast<std::uint32_t>(tensor.detach()));
  producer_.sent.add_one();
  SendResult result{
      .outcome = SendOutcome::Sent, .wake_consumer = ring_.take_waiting_consumer(), .dropped = TensorHandle::None};
  if (oldest) [[unlikely]] {
    result.outcome = SendOutcome::DroppedOldest;
    result.dropped = TensorHandle{*oldest};
    producer_.dropped_oldest.add_one();
    arena_.adopt_held(result.dropped).reset();
  }
  return result;
}

/// The channel is full, and nothing may be dropped of what is in it.
SendResult Channel::refuse(TensorRef& tensor) {
  SendResult result{.outcome = SendOutcome::Full, .wake_consumer = false, .dropped = TensorHandle::None};
  if (policy_ == ChannelPolicy::Block) {
    producer_.stalls.add_one();
    return result;
  }
  producer_.dropped_newest.add_one();
  result.outcome = SendOutcome::DroppedNewest;
  result.dropped = tensor.handle();
  tensor.reset();
  return result;
}

Received Channel::receive() {
  const bool contended = policy_ == ChannelPolicy::DropOldest;
  const std::optional<std::uint32_t> handle = contended ? ring_.pop_contended() : ring_.pop();
  if (!handle) {
    return {.tensor = {}, .wake_producer = false};
  }
  consumer_.received.add_one();
  return {.tensor = arena_.adopt_held(TensorHandle{*handle}), .wake_producer = ring_.take_waiting_producer()};
}

std::uint32_t Channel::drain() {
  std::uint32_t drained = 0;
  // At most what is there now, so that a producer that goes on cannot keep the caller here.
  for (std::uint32_t left = ring_.depth(); left > 0; --left) {
    if (!receive().tensor) {
      break;
    }
    ++drained;
  }
  return drained;
}

ChannelMetrics Channel::metrics() const {
  return {.depth = ring_.depth(),
          .high_water = ring_.high_water(),
          .sent = producer_.sent.value(),
          .received = consumer_.received.value(),
          .stalls = producer_.stalls.value(),
          .dropped_oldest = producer_.dropped_oldest.value(),
          .dropped_newest = producer_.dropped_newest.value()};
}

std::uint32_t Channel::bind_schema(std::uint32_t schema) {
  std::uint32_t bound = 0;
  // Relaxed: a number, which nothing else goes with.
  return schema_.compare_exchange_strong(bound, schema, std::memory_order_relaxed) ? schema : bound;
}

bool Channel::unbind_schema(std::uint32_t schema) {
  return schema_.compare_exchange_strong(schema, 0, std::memory_order_relaxed);
}

}  // namespace guest::graph
