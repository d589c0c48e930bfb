#include "guest/graph/graph.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"

namespace guest::graph {
namespace {

using kernel::fail;

/// As the names of servers and tasks: they are shown in replies, reports and names of metrics.
bool is_name(std::string_view name, std::size_t max) {
  const auto is_allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= max && std::ranges::all_of(name, is_allowed);
}

kernel::Outcome check_name(std::string_view what, std::string_view name, std::size_t max) {
  if (!is_name(name, max)) {
    return fail("graph-bad-name", "{} '{}': expected 1 to {} of A-Z a-z 0-9 . _ -", what,
                kernel::escaped(name.substr(0, 40)), max);
  }
  return {};
}

}  // namespace

std::expected<std::unique_ptr<Graph>, kernel::NamedError> Graph::make(const GraphSpec& spec, const KindTable& kinds,
                                                                      SchemaRegistry& schemas) {
  if (const auto named = check_name("graph", spec.name, kMaxGraphName); !named) {
    return std::unexpected(named.error());
  }
  const std::uint64_t least = TensorArena::memory_for(spec.tensors, TensorArena::kDataAlignment);
  if (spec.tensors == 0 || least == 0 || spec.memory_bytes < least || spec.memory_bytes > GraphSpec::kMaxMemory) {
    return fail("graph-bad-memory", "{} tensors in {} bytes: expected 1 to {} tensors and {} to {} bytes", spec.tensors,
                spec.memory_bytes, TensorArena::kMaxTensors, least, GraphSpec::kMaxMemory);
  }
  std::unique_ptr<Graph> graph(new (std::nothrow) Graph(kinds, schemas));
  if (graph != nullptr) {
    graph->memory_.reset(new (std::nothrow) std::byte[spec.memory_bytes]);
  }
  if (graph == nullptr || graph->memory_ == nullptr) {
    return fail("graph-no-memory", "no {} bytes for the tensors of graph '{}'", spec.memory_bytes, spec.name);
  }
  graph->name_.write(spec.name);
  graph->id_ = spec.id;
  graph->memory_bytes_ = spec.memory_bytes;
  graph->tensors_ = spec.tensors;
  const kernel::Status started = graph->arena_.start({graph->memory_.get(), spec.memory_bytes}, spec.tensors);
  kernel::require(started == kernel::Status::Ok, "a graph's tensors do not fit where there was room for them");
  return graph;
}

Graph::~Graph() {
  while (!watchers_.empty()) {
    watchers_.pop_front().graph_gone();
  }
  for (const Operator* const each : operators_) {
    delete each;  // with the tensors that it keeps
  }
  for (const Channel* const channel : channels_) {
    delete channel;
  }
  for (const Channel::Slot* const slots : slots_) {
    delete[] slots;
  }
}

kernel::Outcome Graph::add_channel(const ChannelSpec& spec) {
  if (spec.id >= kNoChannel || spec.capacity == 0 || spec.capacity > Channel::kMaxCapacity) {
    return fail("graph-bad-channel", "channel {} of capacity {}: expected an id below {} and a capacity of 1 to {}",
                spec.id, spec.capacity, kNoChannel, Channel::kMaxCapacity);
  }
  if (find_channel(spec.id) != nullptr) {
    return fail("graph-duplicate-id", "there is a channel {} already", spec.id);
  }
  if (spec.schema != kUntyped && schemas_.name_of(spec.schema).empty()) {
    return fail("graph-unknown-schema", "channel {}: there is no schema {}", spec.id, spec.schema);
  }
  if (channels_.full()) {
    return fail("graph-full", "channel {}: the graph has {} channels already, which is all it can have", spec.id,
                channels_.size());
  }
  std::unique_ptr<Channel::Slot[]> slots(new (std::nothrow) Channel::Slot[spec.capacity]);
  auto* const channel = slots == nullptr ? nullptr
                                         : new (std::nothrow)
                                               Channel(spec.id, {slots.get(), spec.capacity}, spec.policy, arena_, id_);
  if (channel == nullptr) {
    return fail("graph-no-memory", "no memory for channel {} of capacity {}", spec.id, spec.capacity);
  }
  if (spec.schema != kUntyped) {
    (void)channel->bind_schema(spec.schema);
  }
  kernel::require(channels_.push_back(channel) && slots_.push_back(slots.release()), "more channels than a graph has");
  return {};
}

/// What can be said of an operator without its channels and parameters.
kernel::Outcome Graph::check_operator(const OperatorSpec& spec, const OperatorKind* kind) const {
  if (const auto named = check_name("operator", spec.name, kMaxName); !named) {
    return named;
  }
  if (spec.id == 0) {
    return fail("graph-bad-operator", "operator '{}' has the id 0: expected 1 or more", spec.name);
  }
  if (find_operator(spec.id) != nullptr) {
    return fail("graph-duplicate-id", "there is an operator {} already", spec.id);
  }
  if (find_operator(spec.name) != nullptr) {
    return fail("graph-duplicate-name", "there is an operator '{}' already", spec.name);
  }
  if (kind == nullptr) {
    return fail("graph-unknown-kind", "operator '{}': there is no kind '{}'; 'graph kinds' lists them", spec.name,
                kernel::escaped(spec.kind.substr(0, 40)));
  }
  const auto fits = [](std::size_t count, std::uint8_t min, std::uint8_t max) { return count >= min && count <= max; };
  if (!fits(spec.inputs.size(), kind->min_inputs, kind->max_inputs) ||
      !fits(spec.outputs.size(), kind->min_outputs, kind->max_outputs)) {
    return fail("graph-bad-operator", "operator '{}' has {} inputs and {} outputs: '{}' has {} to {} and {} to {}",
                spec.name, spec.inputs.size(), spec.outputs.size(), kind->name, kind->min_inputs, kind->max_inputs,
                kind->min_outputs, kind->max_outputs);
  }
  if (spec.cpu >= kernel::kMaxCpus) {
    return fail("graph-bad-operator", "operator '{}' on CPU {}: expected 0 to {}", spec.name, spec.cpu,
                kernel::kMaxCpus - 1);
  }
  return {};
}

Operator* Graph::user_of(const Channel& channel, bool as_input) const {
  for (Operator* const each : operators_) {
    const auto ports = as_input ? each->inputs() : each->outputs();
    if (std::ranges::find(ports, &channel) != ports.end()) {
      return each;
    }
  }
  return nullptr;
}

Operator* Graph::producer_of(const Channel& channel) const { return user_of(channel, false); }
Operator* Graph::consumer_of(const Channel& channel) const { return user_of(channel, true); }

kernel::Outcome Graph::check_ports(const OperatorSpec& spec, std::span<const std::uint32_t> ids,
                                   bool are_inputs) const {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Channel* const channel = find_channel(ids[i]);
    if (channel == nullptr) {
      return fail("graph-unknown-channel", "operator '{}': there is no channel {}", spec.name, ids[i]);
    }
    const std::string_view role = are_inputs ? "consumer" : "producer";
    if (const Operator* const user = user_of(*channel, are_inputs); user != nullptr) {
      return fail("graph-channel-taken", "operator '{}': channel {} has a {} already, '{}'", spec.name, ids[i], role,
                  user->name());
    }
    if (std::ranges::find(ids.first(i), ids[i]) != ids.begin() + static_cast<std::ptrdiff_t>(i)) {
      return fail("graph-channel-taken", "operator '{}' would be the {} of channel {} twice", spec.name, role, ids[i]);
    }
  }
  return {};
}

kernel::FixedText<48> Graph::describe_schema(std::uint32_t schema) const {
  kernel::FixedText<48> text;
  kernel::format_to(text, "{} ({})", schema, schemas_.name_of(schema));
  return text;
}

/// All channels of one side would carry `schema`. Nothing is bound yet.
kernel::Outcome Graph::check_schema(const OperatorSpec& spec, std::span<const std::uint32_t> ids,
                                    std::uint32_t schema) {
  if (schema != kUntyped && schemas_.name_of(schema).empty()) {
    return fail("graph-unknown-schema", "operator '{}': there is no schema {}", spec.name, schema);
  }
  for (const std::uint32_t id : ids) {
    const BindResult bound = check_binding(*find_channel(id), schema);
    if (bound.outcome == BindOutcome::Mismatch) {
      return refuse_schema(spec, id, bound.expected, schema);
    }
  }
  return {};
}

/// A channel without a schema that the operator would both fill and empty: its two sides agree.
kernel::Outcome Graph::check_own_loops(const OperatorSpec& spec) {
  if (spec.in_schema == spec.out_schema || spec.in_schema == kUntyped || spec.out_schema == kUntyped) {
    return {};
  }
  const auto loop = std::ranges::find_first_of(spec.inputs, spec.outputs);
  return loop == spec.inputs.end() ? kernel::Outcome() : refuse_schema(spec, *loop, spec.in_schema, spec.out_schema);
}

kernel::Outcome Graph::refuse_schema(const OperatorSpec& spec, std::uint32_t channel, std::uint32_t expected,
                                     std::uint32_t given) {
  ++schema_mismatches_;
  return fail("graph-schema-mismatch", "channel {} and operator '{}': the channel expects schema {}, given is {}",
              channel, spec.name, describe_schema(expected).view(), describe_schema(given).view());
}

kernel::Outcome Graph::add_operator(const OperatorSpec& spec) {
  const OperatorKind* const kind = kinds_.find(spec.kind);
  if (const auto checked = check_operator(spec, kind); !checked) {
    return checked;
  }
  for (const bool are_inputs : {true, false}) {
    const auto ids = are_inputs ? spec.inputs : spec.outputs;
    if (const auto checked = check_ports(spec, ids, are_inputs); !checked) {
      return checked;
    }
    if (const auto checked = check_schema(spec, ids, are_inputs ? spec.in_schema : spec.out_schema); !checked) {
      return checked;
    }
  }
  if (const auto checked = check_own_loops(spec); !checked) {
    return checked;
  }
  if (operators_.full()) {
    return fail("graph-full", "operator '{}': the graph has {} operators already, which is all it can have", spec.name,
                operators_.size());
  }
  auto parameters = Parameters::check(kind->parameters, spec.parameters);
  if (!parameters) {
    return fail(parameters.error().name, "operator '{}' ({}): {}", spec.name, kind->name,
                parameters.error().detail.view());
  }
  auto code = kind->make(*parameters);
  if (!code) {
    return fail(code.error().name, "operator '{}' ({}): {}", spec.name, kind->name, code.error().detail.view());
  }
  auto* const added = new (std::nothrow) Operator(*kind, arena_, spec);
  if (added == nullptr) {
    return fail("graph-no-memory", "no memory for operator '{}'", spec.name);
  }
  added->parameters_ = *parameters;
  added->code_ = *std::move(code);
  connect(*added, spec);
  return {};
}

/// Everything has been checked.
void Graph::connect(Operator& added, const OperatorSpec& spec) {
  added.name_.write(spec.name);
  added.graph_ = id_;
  added.priority_ = spec.priority;
  added.stage_ = spec.stage;
  added.wcet_ns_ = spec.wcet_ns;
  added.cpu_ = spec.cpu;
  added.in_schema_ = spec.in_schema;
  for (const bool are_inputs : {true, false}) {
    for (const std::uint32_t id : are_inputs ? spec.inputs : spec.outputs) {
      Channel& channel = *find_channel(id);
      (void)bind_channel(channel, are_inputs ? spec.in_schema : spec.out_schema);
      kernel::require((are_inputs ? added.inputs_ : added.outputs_).push_back(&channel), "an operator has more ports");
    }
  }
  kernel::require(operators_.push_back(&added), "more operators than a graph has");
}

kernel::Outcome Graph::check_complete() const {
  if (operators_.empty()) {
    return fail("graph-incomplete", "graph '{}' has no operators", name());
  }
  for (const Channel* const channel : channels_) {
    for (const bool as_input : {false, true}) {
      if (user_of(*channel, as_input) == nullptr) {
        return fail("graph-incomplete", "channel {} of graph '{}' has no {}", channel->id(), name(),
                    as_input ? "consumer" : "producer");
      }
    }
  }
  return {};
}

Operator* Graph::find_operator(std::string_view name) const {
  const auto found = std::ranges::find_if(operators_, [&](const Operator* each) { return each->name() == name; });
  return found == operators_.end() ? nullptr : *found;
}

Operator* Graph::find_operator(std::uint32_t id) const {
  const auto found = std::ranges::find_if(operators_, [&](const Operator* each) { return each->id() == id; });
  return found == operators_.end() ? nullptr : *found;
}

Channel* Graph::find_channel(std::uint32_t id) const {
  const auto found = std::ranges::find_if(channels_, [&](const Channel* each) { return each->id() == id; });
  return found == channels_.end() ? nullptr : *found;
}

void Graph::drain_channels() {
  for (Channel* const channel : channels_) {
    (void)channel->drain();
  }
}

}  // namespace guest::graph
