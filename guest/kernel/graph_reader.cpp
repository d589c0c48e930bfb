#include "graph_reader.hpp"

#include <algorithm>

namespace guest::kernel {

namespace names = abi::boot_config;

bool GraphReader::is_mine(std::string_view name) { return name == names::kSchemasNode || name == names::kGraphsNode; }

std::string_view GraphReader::path() const {
  constexpr std::string_view kPaths[] = {"/", "/schemas", "a schema", "/graphs", "a graph", "a channel", "an operator"};
  return kPaths[static_cast<std::size_t>(node_)];
}

FixedText<64> GraphReader::item() const {
  FixedText<64> text;
  if (node_ == Node::Schema) {
    format_to(text, "schema {}", schemas_ - 1);
  } else if (node_ == Node::Graph) {
    format_to(text, "graph {}", graphs_ - 1);
  } else {
    const bool is_channel = node_ == Node::Channel;
    format_to(text, "{} {} of graph {}", is_channel ? "channel" : "operator", (is_channel ? channels_ : operators_) - 1,
              graphs_ - 1);
  }
  return text;
}

bool GraphReader::was_seen(std::string_view property) const {
  std::uint64_t bit = 1;
  for (const Known* known = kKnown; known->read != nullptr; ++known, bit <<= 1) {
    if (known->node == node_ && known->name == property) {
      return (seen_ & bit) != 0;
    }
  }
  return false;
}

Outcome GraphReader::require(std::initializer_list<std::string_view> properties) const {
  for (const std::string_view property : properties) {
    if (!was_seen(property)) {
      return fail("tree-missing-property", "'{}' of {}", property, item().view());
    }
  }
  return {};
}

Outcome GraphReader::begin_node() {
  if (cursor_.depth() == 2) {
    return begin_section(cursor_.node_name() == names::kSchemasNode ? Node::Schemas : Node::Graphs);
  }
  switch (node_) {
    case Node::Schemas:
      schema_ = {};
      return begin_item(Node::Schema, names::kSchemaNode, schemas_, names::kMaxSchemas);
    case Node::Graphs:
      graph_ = {};
      announced_ = false;
      channels_ = 0;
      operators_ = 0;
      return begin_item(Node::Graph, names::kGraphNode, graphs_, names::kMaxGraphs);
    case Node::Graph:
      return begin_part();
    case Node::Outside:
    case Node::Schema:
    case Node::Channel:
    case Node::Operator:
      break;
  }
  return unknown_node();
}

Outcome GraphReader::begin_section(Node node) {
  bool& seen = node == Node::Schemas ? schemas_seen_ : graphs_seen_;
  if (seen) {
    return fail("tree-duplicate", "node /{} is there twice", cursor_.node_name());
  }
  if (node == Node::Schemas && graphs_seen_) {
    return fail("tree-unknown-node", "'{}' in / after '{}', expected before it", cursor_.node_name(),
                std::string_view(names::kGraphsNode));
  }
  seen = true;
  seen_ = 0;
  node_ = node;
  return {};
}

/// Items are numbered from 0.
Outcome GraphReader::begin_item(Node node, std::string_view prefix, std::size_t& count, std::size_t max) {
  if (const Outcome numbered = check_numbered(prefix, count); !numbered) {
    return numbered;
  }
  if (count == max) {
    return fail("tree-bad-value", "more than {} nodes '{}' in {}", max, prefix, path());
  }
  ++count;
  node_ = node;
  seen_ = 0;
  return {};
}

/// A channel or an operator. Channels come first: an operator can be built when its channels are there.
Outcome GraphReader::begin_part() {
  if (const Outcome announced = announce_graph(); !announced) {
    return announced;
  }
  if (operators_ == 0 && cursor_.node_name().starts_with(names::kChannelNode)) {
    channel_ = {};
    return begin_item(Node::Channel, names::kChannelNode, channels_, names::kMaxChannels);
  }
  operator_ = {};
  return begin_item(Node::Operator, names::kOperatorNode, operators_, names::kMaxOperators);
}

Outcome GraphReader::end_node() {
  const Node ended = node_;
  Outcome outcome;
  switch (ended) {
    case Node::Schema:
      outcome = end_schema();
      node_ = Node::Schemas;
      break;
    case Node::Graph:
      outcome = end_graph();
      node_ = Node::Graphs;
      break;
    case Node::Channel:
      outcome = end_channel();
      node_ = Node::Graph;
      break;
    case Node::Operator:
      outcome = end_operator();
      node_ = Node::Graph;
      break;
    case Node::Schemas:
    case Node::Graphs:
    case Node::Outside:
      node_ = Node::Outside;
      break;
  }
  return outcome;
}

Outcome GraphReader::end_schema() {
  if (const Outcome complete = require({names::kItemName}); !complete) {
    return complete;
  }
  return visitor_ == nullptr ? Outcome() : visitor_->schema(schema_);
}

/// Once, when all properties of a graph have been read.
Outcome GraphReader::announce_graph() {
  if (announced_) {
    return {};
  }
  announced_ = true;
  if (const Outcome complete = require({names::kItemName, names::kMemoryBytes, names::kTensors}); !complete) {
    return complete;
  }
  if (graph_.budget_ns != 0 || graph_.period_ns != 0 || graph_.deadline_ns != 0 || graph_.soft) {
    if (const Outcome complete = require({names::kBudgetNs, names::kPeriodNs, names::kDeadlineNs}); !complete) {
      return complete;
    }
    if (graph_.budget_ns > graph_.deadline_ns || graph_.deadline_ns > graph_.period_ns) {
      return fail("tree-bad-value", "graph {}: budget {}, deadline {}, period {}: each at most the next", graphs_ - 1,
                  graph_.budget_ns, graph_.deadline_ns, graph_.period_ns);
    }
  }
  return visitor_ == nullptr ? Outcome() : visitor_->graph(graph_);
}

Outcome GraphReader::end_graph() {
  if (const Outcome announced = announce_graph(); !announced) {
    return announced;
  }
  return visitor_ == nullptr ? Outcome() : visitor_->end_graph();
}

Outcome GraphReader::end_channel() {
  if (const Outcome complete = require({names::kId, names::kCapacity}); !complete) {
    return complete;
  }
  return visitor_ == nullptr ? Outcome() : visitor_->channel(channel_);
}

Outcome GraphReader::end_operator() {
  if (const Outcome complete = require({names::kItemName, names::kId, names::kKind, names::kStage}); !complete) {
    return complete;
  }
  return visitor_ == nullptr ? Outcome() : visitor_->operator_(operator_);
}

Outcome GraphReader::set_name(std::string_view& out, std::size_t max_bytes) {
  const Text value = item_name(max_bytes);
  if (!value) {
    return std::unexpected(value.error());
  }
  out = *value;
  return {};
}

Outcome GraphReader::set_schema(std::string_view& out) {
  const Text value = text();
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  if (!value || value->empty() || value->size() > names::kMaxSchemaName || !std::ranges::all_of(*value, is_allowed)) {
    return bad_value("1 to 32 of a-z 0-9 . _ -");
  }
  out = *value;
  return {};
}

Outcome GraphReader::set_word(std::string_view& out, std::span<const char* const> words, std::string_view expected) {
  const Text value = text();
  if (!value || std::ranges::none_of(words, [&](const char* word) { return *value == word; })) {
    return bad_value(expected);
  }
  out = *value;
  return {};
}

Outcome GraphReader::set_ports(BoundedArray<std::uint32_t, names::kMaxPorts>& out) {
  const Bytes bytes = cursor_.value();
  if (bytes.empty() || bytes.size() % 4 != 0 || bytes.size() / 4 > names::kMaxPorts) {
    return bad_value("1 to 8 numbers of 4 bytes");
  }
  for (std::size_t at = 0; at < bytes.size(); at += 4) {
    const std::uint64_t id = read_be32(&bytes[at]);
    if (id > names::kMaxChannelId || !out.push_back(static_cast<std::uint32_t>(id))) {
      return fail("tree-bad-value", "'{}' of {} has {}: expected 0 to {}", cursor_.property_name(), path(), id,
                  names::kMaxChannelId);
    }
  }
  return {};
}

Outcome GraphReader::read_graph_memory() {
  const Outcome outcome = number(8, graph_.memory_bytes, names::kMinGraphMemory, names::kMaxGraphMemory);
  if (outcome && graph_.memory_bytes % names::kGraphMemoryUnit != 0) {
    return bad_value("whole pages of 4096 bytes");
  }
  return outcome;
}

Outcome GraphReader::read_graph_soft() {
  graph_.soft = true;
  return flag();
}

Outcome GraphReader::read_graph_manual() {
  graph_.manual = true;
  return flag();
}

Outcome GraphReader::read_channel_policy() {
  return set_word(channel_.policy, names::kPolicies, "'block', 'drop-oldest' or 'drop-newest'");
}

Outcome GraphReader::read_operator_kind() {
  const Text value = text();
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  if (!value || value->empty() || value->size() > names::kMaxKindName || !std::ranges::all_of(*value, is_allowed)) {
    return bad_value("1 to 32 of a-z 0-9 . -");
  }
  operator_.kind = *value;
  return {};
}

Outcome GraphReader::read_operator_stage() {
  return set_word(operator_.stage, names::kStages, "'acquire', 'clean', 'explore', 'model' or 'explain'");
}

Outcome GraphReader::read_operator_priority() {
  std::uint32_t priority = 0;
  const Outcome outcome = small(priority, 0, names::kMaxPriority);
  operator_.priority = static_cast<std::uint8_t>(priority);
  return outcome;
}

Outcome GraphReader::read_operator_parameters() {
  constexpr std::string_view kExpected = "1 to 8 pairs of texts: a name of a-z 0-9 _, and at most 64 bytes";
  const auto is_allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  const Bytes bytes = cursor_.value();
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());  // char aliases anything
  do {
    const std::size_t name_end = rest.find('\0');
    const std::size_t value_end = name_end == std::string_view::npos ? name_end : rest.find('\0', name_end + 1);
    if (value_end == std::string_view::npos) {
      return bad_value(kExpected);
    }
    const ParameterConfig parameter{.name = rest.substr(0, name_end),
                                    .value = rest.substr(name_end + 1, value_end - name_end - 1)};
    if (parameter.name.empty() || parameter.name.size() > names::kMaxParameterName ||
        !std::ranges::all_of(parameter.name, is_allowed) || parameter.value.size() > names::kMaxParameterText ||
        !operator_.parameters.push_back(parameter)) {
      return bad_value(kExpected);
    }
    rest.remove_prefix(value_end + 1);
  } while (!rest.empty());
  return {};
}

const GraphReader::Known GraphReader::kKnown[] = {
    {Node::Schema, names::kItemName, &GraphReader::read_schema_name},
    {Node::Schema, names::kId, &GraphReader::read_schema_id},
    {Node::Graph, names::kItemName, &GraphReader::read_graph_name},
    {Node::Graph, names::kMemoryBytes, &GraphReader::read_graph_memory},
    {Node::Graph, names::kTensors, &GraphReader::read_graph_tensors},
    {Node::Graph, names::kBudgetNs, &GraphReader::read_graph_budget},
    {Node::Graph, names::kPeriodNs, &GraphReader::read_graph_period},
    {Node::Graph, names::kDeadlineNs, &GraphReader::read_graph_deadline},
    {Node::Graph, names::kSoft, &GraphReader::read_graph_soft},
    {Node::Graph, names::kManual, &GraphReader::read_graph_manual},
    {Node::Graph, names::kSteps, &GraphReader::read_graph_steps},
    {Node::Channel, names::kId, &GraphReader::read_channel_id},
    {Node::Channel, names::kCapacity, &GraphReader::read_channel_capacity},
    {Node::Channel, names::kPolicy, &GraphReader::read_channel_policy},
    {Node::Channel, names::kSchema, &GraphReader::read_channel_schema},
    {Node::Operator, names::kItemName, &GraphReader::read_operator_name},
    {Node::Operator, names::kId, &GraphReader::read_operator_id},
    {Node::Operator, names::kKind, &GraphReader::read_operator_kind},
    {Node::Operator, names::kStage, &GraphReader::read_operator_stage},
    {Node::Operator, names::kPriority, &GraphReader::read_operator_priority},
    {Node::Operator, names::kWcetNs, &GraphReader::read_operator_wcet},
    {Node::Operator, names::kCpu, &GraphReader::read_operator_cpu},
    {Node::Operator, names::kInputs, &GraphReader::read_operator_inputs},
    {Node::Operator, names::kOutputs, &GraphReader::read_operator_outputs},
    {Node::Operator, names::kInSchema, &GraphReader::read_operator_in_schema},
    {Node::Operator, names::kOutSchema, &GraphReader::read_operator_out_schema},
    {Node::Operator, names::kParameters, &GraphReader::read_operator_parameters},
    {Node::Outside, {}, nullptr},
};

Outcome visit_graphs(std::span<const std::byte> tree, GraphConfigVisitor& visitor) {
  TreeCursor cursor;
  if (Outcome opened = cursor.open(tree); !opened) {
    return opened;
  }
  GraphReader reader(cursor, &visitor);
  for (;;) {
    Outcome outcome;
    const TreeToken token = cursor.next();
    if (token == TreeToken::End || token == TreeToken::Error) {
      return token == TreeToken::End ? Outcome() : std::unexpected(cursor.error());
    }
    const bool begins = token == TreeToken::BeginNode;
    if (reader.is_inside()) {
      outcome = begins ? reader.begin_node() : token == TreeToken::Property ? reader.property() : reader.end_node();
    } else if (begins && cursor.depth() == 2 && GraphReader::is_mine(cursor.node_name())) {
      outcome = reader.begin_node();
    }
    if (!outcome) {
      return outcome;
    }
  }
}

}  // namespace guest::kernel
