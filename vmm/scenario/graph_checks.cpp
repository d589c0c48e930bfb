// What must hold between the parts of a graph.
#include <array>

#include "abi/boot_config.hpp"
#include "graphs_type.hpp"
#include "items.hpp"

namespace vmm::scenario {
namespace {

namespace names = abi::boot_config;

/// Which operators write and read the channels of one graph.
class ChannelUses {
 public:
  ChannelUses(Problems& problems, const std::string& key, const Node& graph_node, const Graph& graph)
      : problems_(problems), key_(key), graph_node_(graph_node), graph_(graph) {}

  void check() {
    const std::vector<Node>& nodes = items_of(graph_node_, "operators");
    for (std::size_t i = 0; i < graph_.operators.size(); ++i) {
      const std::string key = item_key(key_ + ".operators", i);
      add_ports(nodes[i], key, "in", graph_.operators[i].in, consumer_line_);
      add_ports(nodes[i], key, "out", graph_.operators[i].out, producer_line_);
    }
    for (std::size_t i = 0; i < graph_.channels.size(); ++i) {
      check_channel(i, "producer", "out", producer_line_);
      check_channel(i, "consumer", "in", consumer_line_);
    }
  }

 private:
  using Lines = std::map<unsigned, std::size_t>;  ///< of operators, by the ids of channels

  void add_ports(const Node& op, const std::string& key, const std::string& side, const std::vector<unsigned>& ids,
                 Lines& lines) {
    const std::vector<Node>& nodes = items_of(op, side);
    const std::string ports = key + '.' + side;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::string port = item_key(ports, i);
      const std::string role = side == "in" ? "consumer" : "producer";
      if (std::ranges::find(graph_.channels, ids[i], &Channel::id) == graph_.channels.end()) {
        problems_.add(nodes[i].at, port, std::to_string(ids[i]), "the id of one of the graph's channels");
      } else if (const auto [first, is_new] = lines.try_emplace(ids[i], nodes[i].at.line); !is_new) {
        std::string allowed = "a channel without a ";
        allowed.append(role).append(" (line ").append(std::to_string(first->second)).append(" has its ");
        problems_.add(nodes[i].at, port, std::to_string(ids[i]), allowed.append(role).append(")"));
      }
    }
  }

  void check_channel(std::size_t index, const std::string& role, const std::string& side, const Lines& lines) {
    const unsigned id = graph_.channels[index].id;
    if (lines.contains(id)) return;
    std::string found = "channel ";
    found.append(std::to_string(id)).append(" without a ").append(role);
    problems_.add(items_of(graph_node_, "channels")[index].at, item_key(key_ + ".channels", index), found,
                  "an operator with it in its " + side);
  }

  Problems& problems_;
  const std::string& key_;
  const Node& graph_node_;
  const Graph& graph_;
  Lines consumer_line_;
  Lines producer_line_;
};

/// Finds schemas by names and ids.
class SchemaResolver {
 public:
  SchemaResolver(Problems& problems, const std::vector<Schema>& schemas) : problems_(problems) {
    for (const names::KnownSchema& known : names::kKnownSchemas) {
      id_of_.emplace(known.name, known.id);
      name_of_.emplace(known.id, known.name);
    }
    for (const Schema& schema : schemas) {
      id_of_.emplace(schema.name, schema.id.value_or(0));
      if (schema.id) name_of_.emplace(*schema.id, schema.name);
    }
  }

  /// Gives the schema that the map at `node` has under `option` its name.
  void resolve(const Node& node, const std::string& key, const std::string& option, SchemaName& schema) {
    if (schema.id != 0) {
      const auto match = name_of_.find(schema.id);
      if (match == name_of_.end()) {
        problems_.add(place(node, option), key + '.' + option, std::to_string(schema.id),
                      "1001 (text), 1002 (tokens) or the id of one of schemas");
        return;
      }
      schema = {.name = match->second};
    } else if (!schema.name.empty() && !id_of_.contains(schema.name)) {
      problems_.add(place(node, option), key + '.' + option, quote(schema.name),
                    "text, tokens or the name of one of schemas");
    }
  }

 private:
  Problems& problems_;
  std::map<std::string, unsigned, std::less<>> id_of_;
  std::map<unsigned, std::string> name_of_;
};

void check_schemas(Problems& problems, const Node& root, const std::vector<Schema>& schemas) {
  const std::vector<Node>& nodes = items_of(root, "schemas");
  check_names(problems, "schemas", nodes, schemas);
  std::map<unsigned, std::size_t> line_of;
  for (std::size_t i = 0; i < schemas.size(); ++i) {
    const std::string key = item_key("schemas", i);
    for (const names::KnownSchema& known : names::kKnownSchemas) {
      if (schemas[i].name == known.name) {
        problems.add(place(nodes[i], "name"), key + ".name", quote(known.name),
                     "a name of its own (the kernel knows this one)");
      }
      if (schemas[i].id == known.id) {
        problems.add(place(nodes[i], "id"), key + ".id", std::to_string(known.id),
                     "an id of its own (that of " + std::string(known.name) + ")");
      }
    }
    if (!schemas[i].id) continue;
    const auto [first, is_new] = line_of.try_emplace(*schemas[i].id, place(nodes[i], "id").line);
    if (!is_new) {
      problems.add(place(nodes[i], "id"), key + ".id", std::to_string(*schemas[i].id),
                   "an id of its own (line " + std::to_string(first->second) + " has this one)");
    }
  }
}

}  // namespace

void check_graph(Problems& problems, const std::string& key, const Node& node, const Graph& graph) {
  const std::vector<Node>& operators = items_of(node, "operators");
  check_ids(problems, key + ".channels", items_of(node, "channels"), graph.channels);
  check_ids(problems, key + ".operators", operators, graph.operators);
  check_names(problems, key + ".operators", operators, graph.operators);
  ChannelUses(problems, key, node, graph).check();
}

void check_graphs(Problems& problems, const Node& root, Scenario& scenario) {
  const std::vector<Node>& graph_nodes = items_of(root, "graphs");
  check_schemas(problems, root, scenario.schemas);
  check_names(problems, "graphs", graph_nodes, scenario.graphs);
  SchemaResolver resolver(problems, scenario.schemas);
  for (std::size_t i = 0; i < scenario.graphs.size(); ++i) {
    const std::string key = item_key("graphs", i);
    const std::vector<Node>& channel_nodes = items_of(graph_nodes[i], "channels");
    const std::vector<Node>& operator_nodes = items_of(graph_nodes[i], "operators");
    for (std::size_t j = 0; j < channel_nodes.size(); ++j) {
      resolver.resolve(channel_nodes[j], item_key(key + ".channels", j), "schema",
                       scenario.graphs[i].channels[j].schema);
    }
    for (std::size_t j = 0; j < operator_nodes.size(); ++j) {
      Operator& op = scenario.graphs[i].operators[j];
      const std::string op_key = item_key(key + ".operators", j);
      resolver.resolve(operator_nodes[j], op_key, "in_schema", op.in_schema);
      resolver.resolve(operator_nodes[j], op_key, "out_schema", op.out_schema);
      check_cpu(problems, op_key, operator_nodes[j], op.cpu, scenario.machine.cpus);
    }
  }
}

}  // namespace vmm::scenario
