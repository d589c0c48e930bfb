#include "graphs_tree.hpp"

#include "abi/boot_config.hpp"
#include "vmm/scenario/files.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;

void begin_numbered(TreeWriter& tree, const char* prefix, std::size_t index) {
  tree.begin((prefix + std::to_string(index)).c_str());
}

void write_schema_name(TreeWriter& tree, const char* property, const SchemaName& schema) {
  if (!schema.name.empty()) tree.text(property, schema.name);
}

void write_schemas(TreeWriter& tree, const std::vector<Schema>& schemas) {
  std::size_t index = 0;
  tree.begin(names::kSchemasNode);
  for (const bool with_id : {true, false}) {
    for (const Schema& schema : schemas) {
      if (schema.id.has_value() != with_id) continue;
      begin_numbered(tree, names::kSchemaNode, index++);
      tree.text(names::kItemName, schema.name);
      if (schema.id) tree.u32(names::kId, *schema.id);
      tree.end();
    }
  }
  tree.end();
}

void write_channel(TreeWriter& tree, std::size_t index, const Channel& channel) {
  begin_numbered(tree, names::kChannelNode, index);
  tree.u32(names::kId, channel.id);
  tree.u32(names::kCapacity, channel.capacity);
  tree.text(names::kPolicy, names::kPolicies[static_cast<std::size_t>(channel.policy)]);
  write_schema_name(tree, names::kSchema, channel.schema);
  tree.end();
}

void write_parameters(TreeWriter& tree, const OperatorParameters& parameters) {
  std::string texts;
  const auto add = [&texts](const std::string& text) { texts.append(text).push_back('\0'); };
  for (const OperatorParameters::Value& value : parameters.values) {
    add(value.name);
    add(value.value);
  }
  if (!parameters.file.empty()) {
    add(names::kFileParameter);
    add(archive_name(NamedFile::Use::Operator, parameters.file));
  }
  if (!texts.empty()) tree.bytes(names::kParameters, std::as_bytes(std::span(texts)));
}

void write_operator(TreeWriter& tree, std::size_t index, const Operator& op) {
  begin_numbered(tree, names::kOperatorNode, index);
  tree.text(names::kItemName, op.name);
  tree.u32(names::kId, op.id);
  tree.text(names::kKind, op.kind);
  tree.text(names::kStage, names::kStages[static_cast<std::size_t>(op.stage)]);
  tree.u32(names::kPriority, op.priority);
  if (op.wcet) tree.ns(names::kWcetNs, *op.wcet);
  tree.u32(names::kCpu, op.cpu);
  if (!op.in.empty()) tree.cells(names::kInputs, op.in);
  if (!op.out.empty()) tree.cells(names::kOutputs, op.out);
  write_schema_name(tree, names::kInSchema, op.in_schema);
  write_schema_name(tree, names::kOutSchema, op.out_schema);
  write_parameters(tree, op.parameters);
  tree.end();
}

void write_graph(TreeWriter& tree, std::size_t index, const Graph& graph) {
  begin_numbered(tree, names::kGraphNode, index);
  tree.text(names::kItemName, graph.name);
  tree.u64(names::kMemoryBytes, graph.memory_bytes);
  tree.u32(names::kTensors, graph.tensors);
  if (const auto& server = graph.server) {
    tree.ns(names::kBudgetNs, server->budget);
    tree.ns(names::kPeriodNs, server->period);
    tree.ns(names::kDeadlineNs, server->deadline.value_or(server->period));
    if (server->reservation == Reservation::Soft) tree.bytes(names::kSoft, {});
  }
  if (graph.start == GraphStart::Manual) tree.bytes(names::kManual, {});
  if (graph.steps) tree.u32(names::kSteps, *graph.steps);
  for (std::size_t i = 0; i < graph.channels.size(); ++i) write_channel(tree, i, graph.channels[i]);
  for (std::size_t i = 0; i < graph.operators.size(); ++i) write_operator(tree, i, graph.operators[i]);
  tree.end();
}

}  // namespace

void write_graphs(TreeWriter& tree, const Scenario& scenario) {
  if (!scenario.schemas.empty()) write_schemas(tree, scenario.schemas);
  if (scenario.graphs.empty()) return;
  tree.begin(names::kGraphsNode);
  for (std::size_t i = 0; i < scenario.graphs.size(); ++i) write_graph(tree, i, scenario.graphs[i]);
  tree.end();
}

}  // namespace vmm::scenario
