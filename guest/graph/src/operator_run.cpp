// What an operator does when it runs, besides what graph.hpp has inline.
#include "guest/graph/graph.hpp"

namespace guest::graph {

/// The ports are left empty.
void Operator::note_failure() {
  add_one(failures_);
  firing_.goes_on_ = false;
  for (std::size_t i = 0; i < kMaxPorts; ++i) {
    firing_.inputs_.tensors[i].reset();
    firing_.outputs_.tensors[i].reset();
  }
}

void Operator::trace_begin() const {
  kernel::trace().record(kernel::TraceType::OpBegin, graph_, id_, executions_.load(std::memory_order_relaxed));
}

void Operator::trace_input(const Channel& channel) const {
  kernel::trace().record(kernel::TraceType::ChannelReceive, graph_, channel.id(), channel.depth());
}

void Operator::trace_output(const Channel& channel, SendOutcome outcome) const {
  kernel::Trace& trace = kernel::trace();
  const std::uint32_t depth = channel.depth();
  if (outcome != SendOutcome::DroppedNewest) {
    trace.record(kernel::TraceType::ChannelSend, graph_, channel.id(), depth);
  }
  if (outcome != SendOutcome::Sent) {
    trace.record(kernel::TraceType::ChannelDrop, graph_, channel.id(), depth);
  }
}

void Operator::trace_end(bool failed) const {
  kernel::trace().record(kernel::TraceType::OpEnd, graph_, id_, failed ? 1 : 0);
}

OperatorMetrics Operator::metrics() const {
  return {.executions = executions_.load(std::memory_order_relaxed),
          .overruns = overruns_.load(std::memory_order_relaxed),
          .failures = failures_.load(std::memory_order_relaxed)};
}

}  // namespace guest::graph
