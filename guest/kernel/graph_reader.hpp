// Reads /schemas and /graphs of the scenario tree: one pass, for checking alone and for building.
#pragma once

#include <cstdint>
#include <string_view>

#include "guest/kernel/graph_config.hpp"
#include "property_reader.hpp"

namespace guest::kernel {

/// Whoever drives the cursor gives it the tokens of the two nodes and of all below them.
class GraphReader final : private PropertyReader {
 public:
  /// @param visitor null: everything is checked, and nobody told
  GraphReader(TreeCursor& cursor, GraphConfigVisitor* visitor) : PropertyReader(cursor), visitor_(visitor) {}

  /// The node below the root that has this name is read here.
  static bool is_mine(std::string_view name);
  /// Within one of them: the next token is for this reader.
  [[nodiscard]] bool is_inside() const { return node_ != Node::Outside; }

  // Errors: tree-unknown-node, tree-unknown-property, tree-duplicate, tree-missing-property, tree-bad-value.
  Outcome begin_node();
  Outcome property() { return read_known(kKnown, *this, node_, seen_); }
  Outcome end_node();

 private:
  enum class Node : std::uint8_t { Outside, Schemas, Schema, Graphs, Graph, Channel, Operator };
  struct Known {
    Node node;
    std::string_view name;
    Outcome (GraphReader::*read)();
  };
  static const Known kKnown[];

  [[nodiscard]] std::string_view path() const override;
  /// "operator 3 of graph 0": the item that is read.
  [[nodiscard]] FixedText<64> item() const;
  [[nodiscard]] bool was_seen(std::string_view property) const;
  [[nodiscard]] Outcome require(std::initializer_list<std::string_view> properties) const;

  Outcome begin_section(Node node);
  Outcome begin_item(Node node, std::string_view prefix, std::size_t& count, std::size_t max);
  Outcome begin_part();
  Outcome announce_graph();
  Outcome end_schema();
  Outcome end_graph();
  Outcome end_channel();
  Outcome end_operator();

  Outcome set_name(std::string_view& out, std::size_t max_bytes = abi::boot_config::kMaxItemName);
  Outcome set_schema(std::string_view& out);
  Outcome set_word(std::string_view& out, std::span<const char* const> words, std::string_view expected);
  Outcome set_ports(BoundedArray<std::uint32_t, abi::boot_config::kMaxPorts>& out);

  Outcome read_schema_name() { return set_schema(schema_.name); }
  Outcome read_schema_id() { return small(schema_.id, 1, ~std::uint32_t{0}); }

  Outcome read_graph_name() { return set_name(graph_.name, abi::boot_config::kMaxGraphName); }
  Outcome read_graph_memory();
  Outcome read_graph_tensors() { return small(graph_.tensors, 1, abi::boot_config::kMaxTensors); }
  Outcome read_graph_budget() { return time(graph_.budget_ns); }
  Outcome read_graph_period() { return time(graph_.period_ns); }
  Outcome read_graph_deadline() { return time(graph_.deadline_ns); }
  Outcome read_graph_soft();
  Outcome read_graph_manual();
  Outcome read_graph_steps() { return small(graph_.steps, 1, abi::boot_config::kMaxSteps); }

  Outcome read_channel_id() { return small(channel_.id, 0, abi::boot_config::kMaxChannelId); }
  Outcome read_channel_capacity() { return small(channel_.capacity, 1, abi::boot_config::kMaxChannelCapacity); }
  Outcome read_channel_policy();
  Outcome read_channel_schema() { return set_schema(channel_.schema); }

  Outcome read_operator_name() { return set_name(operator_.name); }
  Outcome read_operator_id() { return small(operator_.id, 1, ~std::uint32_t{0}); }
  Outcome read_operator_kind();
  Outcome read_operator_stage();
  Outcome read_operator_priority();
  Outcome read_operator_wcet() { return time(operator_.wcet_ns); }
  Outcome read_operator_cpu() { return small(operator_.cpu, 0, abi::boot_config::kMaxCpus - 1); }
  Outcome read_operator_inputs() { return set_ports(operator_.inputs); }
  Outcome read_operator_outputs() { return set_ports(operator_.outputs); }
  Outcome read_operator_in_schema() { return set_schema(operator_.in_schema); }
  Outcome read_operator_out_schema() { return set_schema(operator_.out_schema); }
  Outcome read_operator_parameters();

  GraphConfigVisitor* visitor_;
  Node node_ = Node::Outside;
  bool schemas_seen_ = false;
  bool graphs_seen_ = false;
  bool announced_ = false;  ///< the visitor knows of the graph
  std::uint64_t seen_ = 0;  ///< properties of the item that is read; a graph's come before its parts
  // Items that have begun: the last of them is read.
  std::size_t schemas_ = 0;
  std::size_t graphs_ = 0;
  std::size_t channels_ = 0;
  std::size_t operators_ = 0;
  // What is read.
  SchemaConfig schema_;
  GraphConfig graph_;
  ChannelConfig channel_;
  OperatorConfig operator_;
};

}  // namespace guest::kernel
