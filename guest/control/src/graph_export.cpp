// What a graph consists of, for programs (JSON) and for Graphviz.
#include <algorithm>

#include "graph_common.hpp"

namespace guest::control {
namespace {

using kernel::format_to;
using kernel::TextOutput;

void add_server(ResultMap& into, const sched::ServerParameters& server) {
  ResultMap result(into.key_for("server"));
  result.add("budget_us", static_cast<std::uint64_t>(server.budget) / 1000);
  result.add("period_us", static_cast<std::uint64_t>(server.period) / 1000);
  result.add("deadline_us", static_cast<std::uint64_t>(server.deadline) / 1000);
  result.add("reservation", server.depletion == sched::Depletion::Hard ? "hard" : "soft");
  result.finish();
}

/// A schema by its name, under which it is the same in every kernel.
void add_schema(ResultMap& result, std::string_view key, std::uint32_t schema, const graph::SchemaRegistry& schemas) {
  if (schema != graph::kUntyped) {
    result.add(key, schemas.name_of(schema));
  }
}

bool uses(const graph::Graph& graph, std::uint32_t schema) {
  return std::ranges::any_of(graph.channels(), [&](const auto* channel) { return channel->schema() == schema; }) ||
         std::ranges::any_of(graph.operators(), [&](const auto* each) {
           return each->in_schema() == schema || each->out_schema() == schema;
         });
}

/// Those that it uses and not every kernel has.
void add_schemas(ResultMap& into, const graph::Graph& graph) {
  CborWriter& writer = into.key_for("schemas");
  const std::size_t token = writer.begin_array();
  std::size_t count = 0;
  graph.schemas().for_each([&](std::uint32_t id, std::string_view name) {
    if (id != graph::kSchemaText && id != graph::kSchemaTokens && uses(graph, id)) {
      ResultMap entry(writer);
      entry.add("name", name);
      entry.add("id", id);
      entry.finish();
      ++count;
    }
  });
  writer.end(token, count);
}

/// With the schema that each carries by now, whoever said so: added again, it carries that from the start.
void add_channels(ResultMap& into, const graph::Graph& graph) {
  CborWriter& writer = into.key_for("channels");
  writer.array(graph.channels().size());
  for (const graph::Channel* const channel : graph.channels()) {
    ResultMap entry(writer);
    entry.add("id", channel->id());
    entry.add("capacity", channel->capacity());
    entry.add("policy", to_string(channel->policy()));
    add_schema(entry, "schema", channel->schema(), graph.schemas());
    entry.finish();
  }
}

void add_ports(ResultMap& into, std::string_view key, std::span<graph::Channel* const> channels) {
  CborWriter& writer = into.key_for(key);
  writer.array(channels.size());
  for (const graph::Channel* const channel : channels) {
    writer.number(channel->id());
  }
}

void add_parameters(ResultMap& into, const graph::Parameters& parameters) {
  ResultMap result(into.key_for("parameters"));
  parameters.for_each_given([&](const graph::ParameterSpec& spec, std::int64_t integer, std::string_view text) {
    CborWriter& writer = result.key_for(spec.name);
    if (spec.type == graph::ParameterSpec::Type::Integer) {
      add_signed(writer, integer);
    } else {
      writer.text(text);
    }
  });
  result.finish();
}

void add_operators(ResultMap& into, const graph::Graph& graph) {
  CborWriter& writer = into.key_for("operators");
  writer.array(graph.operators().size());
  for (const graph::Operator* const each : graph.operators()) {
    ResultMap entry(writer);
    entry.add("id", each->id());
    entry.add("name", each->name());
    entry.add("kind", each->kind().name);
    entry.add("priority", each->priority());
    entry.add("stage", to_string(each->stage()));
    entry.add("wcet_ns", each->wcet_ns());
    entry.add("cpu", each->cpu());
    add_ports(entry, "inputs", each->inputs());
    add_ports(entry, "outputs", each->outputs());
    add_schema(entry, "in_schema", each->in_schema(), graph.schemas());
    add_schema(entry, "out_schema", each->out_schema(), graph.schemas());
    add_parameters(entry, each->parameters());
    entry.finish();
  }
}

/// Control characters are escaped, those above 0x7e too: JSON would not ask for that, but a terminal acts on them.
void write_json_text(TextOutput& output, std::string_view text) {
  output.write("\"");
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
    if (byte == '"' || byte == '\\') {
      format_to(output, "\\{}", text.substr(i, 1));
    } else if (byte < 0x20 || byte == 0x7F) {
      format_to(output, "\\u{:04x}", static_cast<unsigned>(byte));
    } else if (byte == 0xC2 && next < 0xA0) {  // U+0080 to U+009F as UTF-8
      format_to(output, "\\u{:04x}", static_cast<unsigned>(next));
      ++i;
    } else {
      output.write(text.substr(i, 1));
    }
  }
  output.write("\"");
}

void write_json(TextOutput& output, const CborValue& value) {
  if (value.type == CborType::Map || value.type == CborType::Array) {
    const bool is_map = value.type == CborType::Map;
    output.write(is_map ? "{" : "[");
    CborItems items(value);
    bool first = true;
    while (const auto item = items.next()) {
      output.write(first ? "" : ", ");
      first = false;
      if (is_map) {
        write_json_text(output, item->text());
        output.write(": ");
        write_json(output, *items.next());
      } else {
        write_json(output, *item);
      }
    }
    output.write(is_map ? "}" : "]");
  } else if (value.type == CborType::Text) {
    write_json_text(output, value.text());
  } else if (value.type == CborType::Negative) {
    format_to(output, "-{}", value.number + 1);
  } else {
    format_to(output, "{}", value.number);
  }
}

/// Names have no character that would have to be escaped there.
void write_dot(TextOutput& output, const CborValue& graph) {
  format_to(output, "digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n", find_cbor(graph, "name")->text());
  CborItems operators(*find_cbor(graph, "operators"));
  while (const auto each = operators.next()) {
    format_to(output, "  op{} [label=\"{}\\n{}, {}\"];\n", find_cbor(*each, "id")->number,
              find_cbor(*each, "name")->text(), find_cbor(*each, "kind")->text(), find_cbor(*each, "stage")->text());
  }
  const auto user_of = [&](std::uint64_t channel, std::string_view ports) {
    CborItems users(*find_cbor(graph, "operators"));
    while (const auto user = users.next()) {
      CborItems ids(*find_cbor(*user, ports));
      while (const auto id = ids.next()) {
        if (id->number == channel) {
          return find_cbor(*user, "id")->number;
        }
      }
    }
    return std::uint64_t{0};
  };
  CborItems channels(*find_cbor(graph, "channels"));
  while (const auto channel = channels.next()) {
    const std::uint64_t id = find_cbor(*channel, "id")->number;
    const std::uint64_t from = user_of(id, "outputs");
    const std::uint64_t to = user_of(id, "inputs");
    // A channel without an end is drawn to a point of its own.
    for (const auto& [end, what] : {std::pair(from, "from"), std::pair(to, "to")}) {
      if (end == 0) {
        format_to(output, "  {}{} [shape=point];\n", what, id);
      }
    }
    format_to(output, "  {}{} -> {}{} [label=\"{}: {} {}\"];\n", from == 0 ? "from" : "op", from == 0 ? id : from,
              to == 0 ? "to" : "op", to == 0 ? id : to, id, find_cbor(*channel, "policy")->text(),
              find_cbor(*channel, "capacity")->number);
  }
  output.write("}\n");
}

}  // namespace

void add_signed(CborWriter& writer, std::int64_t value) {
  if (value < 0) {
    writer.negative(static_cast<std::uint64_t>(-(value + 1)));
  } else {
    writer.number(static_cast<std::uint64_t>(value));
  }
}

void add_structure(ResultMap& result, const graph::GraphEntry& entry) {
  const graph::Graph& graph = *entry.graph;
  result.add("name", graph.name());
  result.add("memory", graph.memory_bytes());
  result.add("tensors", graph.max_tensors());
  if (entry.runner->server()) {
    add_server(result, *entry.runner->server());
  }
  add_schemas(result, graph);
  add_channels(result, graph);
  add_operators(result, graph);
}

HandlerResult handle_graph_export(Services&, const Arguments& arguments, Caller&, ResultMap& result) {
  const auto entry = find_graph(arguments);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  result.add("format", arguments.text("format", "json"));
  ResultMap structure(result.key_for("structure"));
  add_structure(structure, **entry);
  structure.finish();
  return Handled::Now;
}

void render_graph_export(TextOutput& output, const CborValue& result) {
  const CborValue structure = *find_cbor(result, "structure");
  if (find_cbor(result, "format")->text() == "dot") {
    write_dot(output, structure);
  } else {
    write_json(output, structure);
    output.write("\n");
  }
}

}  // namespace guest::control
