#include "guest/graph/channel.hpp"

#include "guest/kernel/trace.hpp"

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

bool Channel::await_room() {
  const bool waits_already = ring_.producer_waits();
  if (!ring_.await_room()) {
    return false;
  }
  if (!waits_already) {
    stalls_.add_one();
    kernel::trace().record(kernel::TraceType::ChannelStall, graph_, id_, ring_.depth());
  }
  return true;
}

SendResult Channel::send_into_full(TensorRef& tensor) {
  SendResult result{.outcome = SendOutcome::Full, .wake_consumer = false, .dropped = TensorHandle::None};
  switch (policy_) {
    case ChannelPolicy::Block:
      break;
    case ChannelPolicy::DropOldest:
      result = send_over(tensor);
      break;
    case ChannelPolicy::DropNewest:
      dropped_newest_.add_one();
      result.outcome = SendOutcome::DroppedNewest;
      result.dropped = tensor.handle();
      tensor.reset();
      break;
  }
  return result;
}

SendResult Channel::send_over(TensorRef& tensor) {
  const std::optional<std::uint32_t> oldest = ring_.push_over(static_cast<std::uint32_t>(tensor.detach()));
  SendResult result{
      .outcome = SendOutcome::Sent, .wake_consumer = ring_.take_waiting_consumer(), .dropped = TensorHandle::None};
  if (oldest) {  // or the consumer has just made room
    dropped_oldest_.add_one();
    result.outcome = SendOutcome::DroppedOldest;
    result.dropped = TensorHandle{*oldest};
    arena_.adopt_held(result.dropped).reset();
  }
  return result;
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
  // First: what is counted as dropped the ring has given away by then, so that there are never more of them.
  const std::uint64_t dropped_oldest = dropped_oldest_.value();
  return {.depth = ring_.depth(),
          .high_water = ring_.high_water(),
          .sent = ring_.pushed(),
          .received = ring_.taken() - dropped_oldest,
          .stalls = stalls_.value(),
          .dropped_oldest = dropped_oldest,
          .dropped_newest = dropped_newest_.value()};
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
