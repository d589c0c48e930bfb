// What an operator does when it runs.
#include "guest/graph/graph.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::graph {
namespace {

/// One CPU writes.
void add_one(std::atomic<std::uint64_t>& count) {
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

Operator::Obstacle Operator::obstacle() const {
  for (Channel* const input : inputs_) {
    if (!input->has_element()) {
      return {.channel = input, .is_full = false};
    }
  }
  for (Channel* const output : outputs_) {
    if (!output->has_room()) {
      return {.channel = output, .is_full = true};
    }
  }
  return {};
}

std::expected<Operator::Fired, kernel::NamedError> Operator::fire(std::uint64_t now_ns) {
  Firing& firing = firing_;
  Fired fired{.oldest_ns = now_ns};
  std::size_t port = 0;
  for (Channel* const input : inputs_) {
    Received received = input->receive();
    kernel::require(static_cast<bool>(received.tensor), "an operator fires without its inputs");
    fired.wake_producers |= static_cast<std::uint8_t>(received.wake_producer ? 1U << port : 0U);
    fired.oldest_ns = std::min(fired.oldest_ns, received.tensor.info().timestamp_ns);
    firing.inputs_.tensors[port++] = std::move(received.tensor);
  }
  firing.now_ns_ = now_ns;
  firing.data_from_ns_ = fired.oldest_ns;
  firing.finished_ = false;
  add_one(executions_);
  const kernel::Outcome outcome = code_->fire(firing);
  ++firing.sequence_;
  if (!outcome) [[unlikely]] {
    add_one(failures_);
    drop_ports();
    return std::unexpected(outcome.error());
  }
  fired.finished = firing.finished_;
  send_outputs(fired);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    firing.inputs_.tensors[i].reset();
  }
  return fired;
}

/// What a failed execution has left.
void Operator::drop_ports() {
  for (std::size_t i = 0; i < kMaxPorts; ++i) {
    firing_.inputs_.tensors[i].reset();
    firing_.outputs_.tensors[i].reset();
  }
}

void Operator::send_outputs(Fired& fired) {
  std::size_t port = 0;
  for (Channel* const output : outputs_) {
    if (TensorRef& tensor = firing_.outputs_.tensors[port]; tensor) {
      const SendResult sent = output->send(tensor);
      kernel::require(sent.outcome != SendOutcome::Full, "an operator fires without room for its outputs");
      fired.wake_consumers |= static_cast<std::uint8_t>(sent.wake_consumer ? 1U << port : 0U);
    }
    ++port;
  }
}

void Operator::record(std::uint64_t took_ns, std::uint64_t latency_ns) {
  execution_time_.record(took_ns);
  latency_.record(latency_ns);
  if (wcet_ns_ != 0 && took_ns > wcet_ns_) {
    add_one(overruns_);
  }
}

OperatorMetrics Operator::metrics() const {
  return {.executions = executions_.load(std::memory_order_relaxed),
          .overruns = overruns_.load(std::memory_order_relaxed),
          .failures = failures_.load(std::memory_order_relaxed)};
}

}  // namespace guest::graph
