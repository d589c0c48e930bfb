// A dataflow graph: operators, and the channels between them. This is its structure and its parts; guest/graph/run
// executes it.
//
// Each call that changes a graph does all of what it was asked for, or nothing and says why.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "guest/graph/channel.hpp"
#include "guest/graph/operator.hpp"
#include "guest/graph/schema.hpp"
#include "guest/graph/tensor.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/histogram.hpp"
#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/kernel/trace.hpp"

namespace guest::graph {

inline constexpr std::size_t kMaxName = 32;       ///< of an operator
inline constexpr std::size_t kMaxGraphName = 24;  ///< shorter: its servers and threads add to it
inline constexpr std::size_t kMaxOperators = 64;  ///< of a graph: a bit each of a word
inline constexpr std::size_t kMaxChannels = 128;  ///< of a graph
/// Says that a port of version 0's AddOperator has no channel.
inline constexpr std::uint32_t kNoChannel = 0xffff;

struct GraphSpec {
  static constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 30;
  std::string_view name;                                ///< 1 to kMaxGraphName of A-Z a-z 0-9 . _ -
  std::uint64_t memory_bytes = std::uint64_t{1} << 20;  ///< of the tensor arena, books included
  std::uint32_t tensors = 256;                          ///< at a time
  std::uint32_t id = 0;                                 ///< in the trace; no other graph had it
};

struct ChannelSpec {
  std::uint32_t id = 0;  ///< 0 to 65,534
  std::uint32_t capacity = 0;
  ChannelPolicy policy = ChannelPolicy::Block;
  std::uint32_t schema = kUntyped;
};

struct OperatorSpec {
  std::uint32_t id = 0;   ///< at least 1: 0 is the origin of tensors that no operator made
  std::string_view name;  ///< as a graph's; no other operator of the graph has it
  std::string_view kind;
  std::uint8_t priority = 0;  ///< the larger goes first where several could
  Stage stage = Stage::Acquire;
  std::uint64_t wcet_ns = 0;  ///< of one execution, in processor time; 0: not stated
  std::uint32_t cpu = 0;
  std::span<const std::uint32_t> inputs = {};   ///< ids of channels
  std::span<const std::uint32_t> outputs = {};  ///< ids of channels
  /// Schemas of all inputs, and of all outputs; kUntyped: whatever the channel carries.
  std::uint32_t in_schema = kUntyped;
  std::uint32_t out_schema = kUntyped;
  std::span<const GivenParameter> parameters = {};
};

struct OperatorMetrics {
  std::uint64_t executions;
  std::uint64_t overruns;  ///< executions that took more than the stated WCET
  std::uint64_t failures;  ///< 0 or 1: a failure ends the graph's run
};

class Graph;

/// An operator in its place. What says when it runs is the executor's.
class Operator {
 public:
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;

  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] std::string_view name() const { return name_.view(); }
  [[nodiscard]] const OperatorKind& kind() const { return kind_; }
  [[nodiscard]] std::uint8_t priority() const { return priority_; }
  [[nodiscard]] Stage stage() const { return stage_; }
  [[nodiscard]] std::uint64_t wcet_ns() const { return wcet_ns_; }
  [[nodiscard]] std::uint32_t cpu() const { return cpu_; }
  [[nodiscard]] std::uint32_t in_schema() const { return in_schema_; }
  [[nodiscard]] std::uint32_t out_schema() const { return out_schema_; }
  [[nodiscard]] std::span<Channel* const> inputs() const { return {inputs_.begin(), inputs_.size()}; }
  [[nodiscard]] std::span<Channel* const> outputs() const { return {outputs_.begin(), outputs_.size()}; }
  [[nodiscard]] const Parameters& parameters() const { return parameters_; }
  [[nodiscard]] bool is_source() const { return inputs_.empty(); }
  [[nodiscard]] OperatorCode& code() const { return *code_; }
  /// Its next execution needs no inputs.
  [[nodiscard]] bool goes_on() const { return firing_.goes_on_; }

  [[nodiscard]] OperatorMetrics metrics() const;
  /// Processor time of each execution.
  [[nodiscard]] const kernel::Histogram& execution_time() const { return execution_time_; }
  /// From when the oldest data that an execution used came into the graph (TensorInfo::timestamp_ns) to its end.
  [[nodiscard]] const kernel::Histogram& latency() const { return latency_; }

  /// A run begins.
  void begin(std::uint64_t now_ns) {
    firing_.goes_on_ = false;
    code_->begin(now_ns);
  }

  // ---- for the executor, in the thread that runs the operator

  /// What keeps it from firing, which must change first; null and !is_full: nothing does.
  struct Obstacle {
    Channel* channel = nullptr;
    bool is_full = false;  ///< else it is empty
  };
  [[nodiscard]] Obstacle obstacle() const;
  /// Which waits of other operators an execution has ended: bit n: that of the producer of input n, of the consumer of
  /// output n.
  struct Fired {
    std::uint32_t wake_producers = 0;
    std::uint32_t wake_consumers = 0;
    bool finished = false;        ///< a source that has said that this was the last time
    std::uint64_t oldest_ns = 0;  ///< when the oldest data that it used came into the graph
  };
  /// Executes once. Nothing is in its way. On an error its inputs are gone, and nothing was sent; `fired`
  /// then says no more than how old its data was.
  kernel::Outcome fire(std::uint64_t now_ns, Fired& fired);
  /// Writes down an execution. In the one thread that runs it.
  void record(std::uint64_t took_ns, std::uint64_t latency_ns);

 private:
  friend class Graph;
  Operator(const OperatorKind& kind, TensorArena& arena, const OperatorSpec& spec)
      : kind_(kind),
        id_(spec.id),
        out_schema_(spec.out_schema),
        firing_(arena, {.origin = spec.id,
                        .schema = spec.out_schema,
                        .inputs = spec.inputs.size(),
                        .outputs = spec.outputs.size()}) {}
  void take_inputs(Fired& fired, bool traced);
  void send_outputs(Fired& fired, bool traced);
  void note_failure();
  // For the trace: not in the way of an execution that is not traced.
  void trace_begin() const;
  void trace_input(const Channel& channel) const;
  void trace_output(const Channel& channel, SendOutcome outcome) const;
  void trace_end(bool failed) const;
  /// Only the thread that runs the operator writes its figures.
  static void add_one(std::atomic<std::uint64_t>& count) {
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  const OperatorKind& kind_;
  std::uint32_t graph_ = 0;  ///< of which it is in the trace
  std::uint32_t id_;
  kernel::FixedText<kMaxName> name_;
  std::uint8_t priority_ = 0;
  Stage stage_ = Stage::Acquire;
  std::uint64_t wcet_ns_ = 0;
  std::uint32_t cpu_ = 0;
  std::uint32_t in_schema_ = kUntyped;
  std::uint32_t out_schema_;
  Parameters parameters_;
  kernel::BoundedArray<Channel*, kMaxPorts> inputs_;
  kernel::BoundedArray<Channel*, kMaxPorts> outputs_;
  std::unique_ptr<OperatorCode> code_;
  Firing firing_;
  // Written by the operator's CPU, read by anybody; relaxed.
  std::atomic<std::uint64_t> executions_{0};
  std::atomic<std::uint64_t> overruns_{0};
  std::atomic<std::uint64_t> failures_{0};
  kernel::Histogram execution_time_;
  kernel::Histogram latency_;
};

// An execution is these, inline: calling each other, they and what they return took 150 of 595 instructions.

[[gnu::always_inline]] inline Operator::Obstacle Operator::obstacle() const {
  if (!firing_.goes_on_) {
    for (Channel* const input : inputs_) {
      if (!input->has_element()) {
        return {.channel = input, .is_full = false};
      }
    }
  }
  for (Channel* const output : outputs_) {
    if (!output->has_room()) {
      return {.channel = output, .is_full = true};
    }
  }
  return {};
}

[[gnu::always_inline]] inline void Operator::take_inputs(Fired& fired, bool traced) {
  std::size_t port = 0;
  for (Channel* const input : inputs_) {
    Received received = input->receive();
    kernel::require(static_cast<bool>(received.tensor), "an operator fires without its inputs");
    fired.wake_producers |= std::uint32_t{received.wake_producer} << port;
    fired.oldest_ns = std::min(fired.oldest_ns, received.tensor.info().timestamp_ns);
    firing_.inputs_.tensors[port++] = std::move(received.tensor);
    if (traced) [[unlikely]] {
      trace_input(*input);
    }
  }
}

[[gnu::always_inline]] inline void Operator::send_outputs(Fired& fired, bool traced) {
  std::size_t port = 0;
  for (Channel* const output : outputs_) {
    if (TensorRef& tensor = firing_.outputs_.tensors[port]; tensor) {
      const SendResult sent = output->send(tensor);
      kernel::require(sent.outcome != SendOutcome::Full, "an operator fires without room for its outputs");
      fired.wake_consumers |= std::uint32_t{sent.wake_consumer} << port;
      if (traced) [[unlikely]] {
        trace_output(*output, sent.outcome);
      }
    }
    ++port;
  }
}

[[gnu::always_inline]] inline kernel::Outcome Operator::fire(std::uint64_t now_ns, Fired& fired) {
  // Asked once, so that an execution is in the trace as a whole or not at all.
  const bool traced = kernel::trace().wants(kernel::TraceType::OpBegin);
  add_one(executions_);
  if (traced) [[unlikely]] {
    trace_begin();
  }
  if (firing_.goes_on_) {
    fired = {.oldest_ns = firing_.data_from_ns_};  // that of the inputs that it had
    firing_.goes_on_ = false;
  } else {
    fired = {.oldest_ns = is_source() ? now_ns : ~std::uint64_t{0}};
    take_inputs(fired, traced);
  }
  firing_.now_ns_ = now_ns;
  firing_.data_from_ns_ = fired.oldest_ns;
  firing_.finished_ = false;
  kernel::Outcome outcome = code_->fire(firing_);
  ++firing_.sequence_;
  if (!outcome) [[unlikely]] {
    note_failure();
    if (traced) {
      trace_end(true);
    }
    return outcome;
  }
  fired.finished = firing_.finished_;
  send_outputs(fired, traced);
  for (TensorRef& input : std::span(firing_.inputs_.tensors, inputs_.size())) {
    input.reset();
  }
  if (traced) [[unlikely]] {
    trace_end(false);
  }
  return outcome;
}

[[gnu::always_inline]] inline void Operator::record(std::uint64_t took_ns, std::uint64_t latency_ns) {
  execution_time_.record(took_ns);
  latency_.record(latency_ns);
  if (wcet_ns_ != 0 && took_ns > wcet_ns_) {
    add_one(overruns_);
  }
}

/// Somebody who looks into a graph. Owned by whoever made it; linked into the graph.
class GraphWatcher {
 public:
  GraphWatcher() = default;
  GraphWatcher(const GraphWatcher&) = delete;
  GraphWatcher& operator=(const GraphWatcher&) = delete;
  /// The graph is destroyed when this returns. In the control loop's thread; it is linked no more. Whoever waits is
  /// told later, from a work item.
  virtual void graph_gone() = 0;
  kernel::ListLink<GraphWatcher> link;

 protected:
  ~GraphWatcher() = default;
};

/// Structure is changed and read by one thread, the control loop's, while the graph does not run.
class Graph {
 public:
  /// Errors: graph-bad-name, graph-bad-memory, graph-no-memory.
  static std::expected<std::unique_ptr<Graph>, kernel::NamedError> make(const GraphSpec& spec, const KindTable& kinds,
                                                                        SchemaRegistry& schemas);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  [[nodiscard]] std::string_view name() const { return name_.view(); }
  /// In the trace.
  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_; }
  [[nodiscard]] std::uint32_t max_tensors() const { return tensors_; }
  [[nodiscard]] TensorArena& arena() { return arena_; }
  [[nodiscard]] const TensorArena& arena() const { return arena_; }
  [[nodiscard]] SchemaRegistry& schemas() const { return schemas_; }

  /// Errors: graph-bad-channel, graph-duplicate-id, graph-full, graph-no-memory, graph-unknown-schema.
  kernel::Outcome add_channel(const ChannelSpec& spec);
  /// Errors: graph-bad-operator, graph-bad-name, graph-duplicate-id, graph-duplicate-name, graph-full,
  /// graph-unknown-kind, graph-unknown-channel, graph-channel-taken (it has a producer or a consumer already),
  /// graph-schema-mismatch, graph-unknown-schema, graph-bad-parameter, graph-no-memory, and the kind's own.
  kernel::Outcome add_operator(const OperatorSpec& spec);
  /// Each channel has a producer and a consumer, and there is an operator. Errors: graph-incomplete, naming what is
  /// missing where.
  [[nodiscard]] kernel::Outcome check_complete() const;

  /// In the order in which they were added.
  [[nodiscard]] std::span<Channel* const> channels() const { return {channels_.begin(), channels_.size()}; }
  [[nodiscard]] std::span<Operator* const> operators() const { return {operators_.begin(), operators_.size()}; }
  [[nodiscard]] Operator* find_operator(std::string_view name) const;
  [[nodiscard]] Operator* find_operator(std::uint32_t id) const;
  [[nodiscard]] Channel* find_channel(std::uint32_t id) const;
  /// Null: it has none.
  [[nodiscard]] Operator* producer_of(const Channel& channel) const;
  [[nodiscard]] Operator* consumer_of(const Channel& channel) const;
  [[nodiscard]] std::uint64_t schema_mismatches() const { return schema_mismatches_; }

  /// Frees what is in the channels. Nobody runs the graph.
  void drain_channels();

  void watch(GraphWatcher& watcher) { watchers_.push_back(watcher); }
  /// Does nothing if it is not linked.
  void forget(GraphWatcher& watcher) { watchers_.remove(watcher); }

 private:
  Graph(const KindTable& kinds, SchemaRegistry& schemas) : kinds_(kinds), schemas_(schemas) {}
  kernel::Outcome check_operator(const OperatorSpec& spec, const OperatorKind* kind) const;
  kernel::Outcome check_ports(const OperatorSpec& spec, std::span<const std::uint32_t> ids, bool are_inputs) const;
  kernel::Outcome check_schema(const OperatorSpec& spec, std::span<const std::uint32_t> ids, std::uint32_t schema);
  kernel::Outcome check_own_loops(const OperatorSpec& spec);
  kernel::Outcome refuse_schema(const OperatorSpec& spec, std::uint32_t channel, std::uint32_t expected,
                                std::uint32_t given);
  [[nodiscard]] Operator* user_of(const Channel& channel, bool as_input) const;
  void connect(Operator& added, const OperatorSpec& spec);
  [[nodiscard]] kernel::FixedText<48> describe_schema(std::uint32_t schema) const;

  const KindTable& kinds_;
  SchemaRegistry& schemas_;
  kernel::FixedText<kMaxGraphName> name_;
  std::uint32_t id_ = 0;
  std::uint64_t memory_bytes_ = 0;
  std::uint32_t tensors_ = 0;
  std::unique_ptr<std::byte[]> memory_;
  TensorArena arena_;
  kernel::BoundedArray<Channel*, kMaxChannels> channels_;  ///< own each their slots
  kernel::BoundedArray<Operator*, kMaxOperators> operators_;
  kernel::BoundedArray<Channel::Slot*, kMaxChannels> slots_;
  std::uint64_t schema_mismatches_ = 0;
  kernel::IntrusiveList<GraphWatcher, &GraphWatcher::link> watchers_;
};

}  // namespace guest::graph
