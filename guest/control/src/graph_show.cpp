// Looking at graphs.
#include "graph_common.hpp"

namespace guest::control {

void add_metrics(ResultMap& result, const graph::Channel& channel) {
  const graph::ChannelMetrics metrics = channel.metrics();
  result.add("depth", metrics.depth);
  result.add("high_water", metrics.high_water);
  result.add("sent", metrics.sent);
  result.add("received", metrics.received);
  result.add("stalls", metrics.stalls);
  result.add("dropped_oldest", metrics.dropped_oldest);
  result.add("dropped_newest", metrics.dropped_newest);
}

namespace {

void add_channel(ResultMap& result, const graph::Channel& channel) {
  result.add("id", channel.id());
  result.add("capacity", channel.capacity());
  result.add("policy", to_string(channel.policy()));
  add_metrics(result, channel);
}

void add_operator(ResultMap& result, const graph::Operator& shown) {
  const graph::OperatorMetrics metrics = shown.metrics();
  result.add("id", shown.id());
  result.add("name", shown.name());
  result.add("kind", shown.kind().name);
  result.add("cpu", shown.cpu());
  result.add("wcet_ns", shown.wcet_ns());
  result.add("executions", metrics.executions);
  result.add("overruns", metrics.overruns);
  result.add("failures", metrics.failures);
  add_histogram(result, "execution_time", shown.execution_time());
  add_histogram(result, "latency", shown.latency());
}

void add_tensors(ResultMap& into, const graph::TensorArena& arena) {
  const graph::TensorStatistics statistics = arena.statistics();
  ResultMap result(into.key_for("tensors"));
  result.add("capacity", statistics.capacity);
  result.add("live", statistics.live);
  result.add("peak_live", statistics.peak_live);
  result.add("allocated", statistics.allocated);
  result.add("refused_no_descriptor", statistics.refused_no_descriptor);
  result.add("refused_no_memory", statistics.refused_no_memory);
  result.add("memory_bytes", statistics.memory_bytes);
  result.add("used_bytes", statistics.used_bytes);
  result.add("peak_used_bytes", statistics.peak_used_bytes);
  result.add("bytes_copied", statistics.bytes_copied);
  result.finish();
}

/// Calls `add(map, item)` for each of `items`.
template <typename Items, typename Add>
void add_array(ResultMap& into, std::string_view name, const Items& items, Add&& add) {
  CborWriter& writer = into.key_for(name);
  writer.array(items.size());
  for (const auto* const item : items) {
    ResultMap entry(writer);
    add(entry, *item);
    entry.finish();
  }
}

/// What may be given: of an integer the range, of a text its length in bytes, and what is meant if it is not.
void add_parameter(ResultMap& result, const graph::ParameterSpec& spec) {
  using Type = graph::ParameterSpec::Type;
  result.add("name", spec.name);
  result.add("type", spec.type == Type::Integer ? "integer" : spec.type == Type::Choice ? "choice" : "text");
  result.add_bool("required", spec.required);
  if (spec.type == Type::Choice) {
    result.add("choices", spec.choices);
    if (!spec.required) {
      result.add("fallback", spec.choices.substr(0, spec.choices.find('|')));
    }
  } else {
    add_signed(result.key_for("min"), spec.min);
    add_signed(result.key_for("max"), spec.max);
  }
  if (spec.type == Type::Integer && !spec.required) {
    add_signed(result.key_for("fallback"), spec.fallback);
  }
  result.add("help", spec.help);
}

}  // namespace

HandlerResult handle_graph_list(Services&, const Arguments&, Caller&, ResultMap& result) {
  graph::GraphSet& set = graph::graph_set();
  CborWriter& writer = result.key_for("graphs");
  writer.array(set.size());
  for (std::size_t i = 0; i < set.size(); ++i) {
    ResultMap entry(writer);
    add_run(entry, set.at(i));
    entry.add("channels", set.at(i).graph->channels().size());
    entry.add("operators", set.at(i).graph->operators().size());
    entry.finish();
  }
  CborWriter& schemas = result.key_for("schemas");
  schemas.array(set.schemas().size());
  set.schemas().for_each([&](std::uint32_t id, std::string_view name) {
    ResultMap entry(schemas);
    entry.add("id", id);
    entry.add("name", name);
    entry.finish();
  });
  return Handled::Now;
}

HandlerResult handle_graph_show(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto entry = find_graph(arguments);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  add_run(result, **entry);
  add_structure(result, **entry);
  return Handled::Now;
}

HandlerResult handle_graph_stats(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto entry = find_graph(arguments);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  const graph::Graph& graph = *(*entry)->graph;
  add_run(result, **entry);
  result.add("graph_stats_ops", graph.operators().size());
  result.add("graph_stats_channels", graph.channels().size());
  result.add("schema_mismatch_count", graph.schema_mismatches());
  add_array(result, "operators", graph.operators(), add_operator);
  add_array(result, "channels", graph.channels(), add_channel);
  add_tensors(result, graph.arena());
  return Handled::Now;
}

HandlerResult handle_graph_kinds(Services&, const Arguments&, Caller&, ResultMap& result) {
  CborWriter& writer = result.key_for("kinds");
  const std::size_t token = writer.begin_array();
  std::size_t count = 0;
  graph::graph_set().kinds().for_each([&](const graph::OperatorKind& kind) {
    ResultMap entry(writer);
    entry.add("name", kind.name);
    entry.add("help", kind.help);
    entry.add("min_inputs", kind.min_inputs);
    entry.add("max_inputs", kind.max_inputs);
    entry.add("min_outputs", kind.min_outputs);
    entry.add("max_outputs", kind.max_outputs);
    CborWriter& parameters = entry.key_for("parameters");
    parameters.array(kind.parameters.size());
    for (const graph::ParameterSpec& spec : kind.parameters) {
      ResultMap parameter(parameters);
      add_parameter(parameter, spec);
      parameter.finish();
    }
    entry.finish();
    ++count;
  });
  writer.end(token, count);
  return Handled::Now;
}

}  // namespace guest::control
