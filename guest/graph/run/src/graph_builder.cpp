#include "guest/graph/run/graph_builder.hpp"

#include "guest/kernel/panic.hpp"

namespace guest::graph {
namespace {

namespace names = abi::boot_config;
using kernel::fail;

constexpr std::string_view kRefused = "graph-refused";

// What the boot configuration allows, graphs can be. Its limits are those that the monitor checks, too.
static_assert(names::kMaxItemName <= kMaxName && names::kMaxGraphName == kMaxGraphName &&
              names::kMaxGraphs == GraphSet::kMaxGraphs);
static_assert(names::kMaxChannels == kMaxChannels && names::kMaxOperators == kMaxOperators);
static_assert(names::kMaxPorts == kMaxPorts && names::kMaxParameters == Parameters::kMaxParameters);
static_assert(names::kMaxParameterText == ParameterSpec::kMaxText && names::kMaxTensors == TensorArena::kMaxTensors);
static_assert(names::kMaxChannelCapacity == Channel::kMaxCapacity && names::kMaxChannelId + 1 == kNoChannel);
static_assert(names::kMaxGraphMemory == GraphSpec::kMaxMemory && names::kMaxCpus == kernel::kMaxCpus);
static_assert(names::kMaxSchemaName == SchemaRegistry::kMaxNameBytes &&
              names::kMaxSchemas + std::size(names::kKnownSchemas) == SchemaRegistry::kMaxSchemas);
static_assert(names::kKnownSchemas[0].id == kSchemaText && names::kKnownSchemas[1].id == kSchemaTokens);

/// `name` is one of them.
ChannelPolicy find_policy(std::string_view name) {
  for (const auto policy : {ChannelPolicy::Block, ChannelPolicy::DropOldest, ChannelPolicy::DropNewest}) {
    if (to_string(policy) == name) {
      return policy;
    }
  }
  kernel::panic("a policy that the boot configuration does not have");
}

std::optional<sched::ServerParameters> server_of(const kernel::GraphConfig& config) {
  if (config.budget_ns == 0) {
    return std::nullopt;
  }
  return sched::ServerParameters{.budget = static_cast<sched::Time>(config.budget_ns),
                                 .period = static_cast<sched::Time>(config.period_ns),
                                 .deadline = static_cast<sched::Time>(config.deadline_ns),
                                 .depletion = config.soft ? sched::Depletion::Soft : sched::Depletion::Hard};
}

}  // namespace

kernel::Outcome GraphBuilder::refuse(const kernel::NamedError& why) const {
  return fail(kRefused, "graph '{}': {}: {}", name_.view(), why.name, why.detail.view());
}

kernel::Outcome GraphBuilder::schema(const kernel::SchemaConfig& config) {
  SchemaRegistry& schemas = graphs_.schemas();
  const auto added = config.id == 0 ? schemas.add(config.name) : schemas.add(config.name, config.id);
  if (added) {
    return {};
  }
  if (added.error() == kernel::Status::Exists) {
    return fail(kRefused, "schema '{}' of id {}: the name has another id, or the id another name", config.name,
                config.id);
  }
  return fail(kRefused, "schema '{}': there are {} already, which is all there can be", config.name, schemas.size());
}

kernel::Outcome GraphBuilder::graph(const kernel::GraphConfig& config) {
  name_.clear();
  name_.write(config.name);
  starts_ = !config.manual;
  steps_ = config.steps == 0 ? Runner::kForEver : config.steps;
  const auto created = graphs_.create(
      {.name = config.name, .memory_bytes = config.memory_bytes, .tensors = config.tensors}, server_of(config));
  if (!created) {
    return refuse(created.error());
  }
  entry_ = *created;
  return {};
}

std::expected<std::uint32_t, kernel::NamedError> GraphBuilder::find_schema(std::string_view name) const {
  if (name.empty()) {
    return kUntyped;
  }
  const auto found = graphs_.schemas().find(name);
  if (!found) {
    return fail("graph-unknown-schema", "there is no schema '{}'", name);
  }
  return *found;
}

kernel::Outcome GraphBuilder::channel(const kernel::ChannelConfig& config) {
  const auto schema = find_schema(config.schema);
  if (!schema) {
    return refuse(schema.error());
  }
  const auto added = entry_->graph->add_channel(
      {.id = config.id, .capacity = config.capacity, .policy = find_policy(config.policy), .schema = *schema});
  return added ? added : refuse(added.error());
}

kernel::Outcome GraphBuilder::operator_(const kernel::OperatorConfig& config) {
  const auto in_schema = find_schema(config.in_schema);
  const auto out_schema = find_schema(config.out_schema);
  if (!in_schema || !out_schema) {
    return refuse(in_schema ? out_schema.error() : in_schema.error());
  }
  kernel::BoundedArray<GivenParameter, names::kMaxParameters> parameters;
  for (const kernel::ParameterConfig& parameter : config.parameters) {
    kernel::require(parameters.push_back({.name = parameter.name, .value = parameter.value}), "more parameters");
  }
  const auto stage = find_stage(config.stage);
  kernel::require(stage.has_value(), "a stage that the boot configuration does not have");
  const auto added = entry_->graph->add_operator({.id = config.id,
                                                  .name = config.name,
                                                  .kind = config.kind,
                                                  .priority = config.priority,
                                                  .stage = *stage,
                                                  .wcet_ns = config.wcet_ns,
                                                  .cpu = config.cpu,
                                                  .inputs = {config.inputs.begin(), config.inputs.size()},
                                                  .outputs = {config.outputs.begin(), config.outputs.size()},
                                                  .in_schema = *in_schema,
                                                  .out_schema = *out_schema,
                                                  .parameters = {parameters.begin(), parameters.size()}});
  return added ? added : refuse(added.error());
}

kernel::Outcome GraphBuilder::end_graph() {
  if (!starts_) {
    return {};
  }
  const auto started = entry_->runner->start(steps_, RunState::Paused);
  return started ? started : refuse(started.error());
}

void resume_graphs(GraphSet& graphs) {
  for (std::size_t i = 0; i < graphs.size(); ++i) {
    // Refused where it is not paused.
    (void)graphs.at(i).runner->resume();
  }
}

}  // namespace guest::graph
