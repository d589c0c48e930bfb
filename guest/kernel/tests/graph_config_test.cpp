// Schemas and graphs of the scenario tree: what is read, what is refused, who is told of what.
#include "guest/kernel/graph_config.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "guest/kernel/boot_config.hpp"
#include "tree_builder.hpp"

namespace guest::kernel {
namespace {

using testing::ByteVector;
using testing::cells;
using testing::text;
using testing::texts;
using testing::TreeBlob;
using testing::TreeNode;
using testing::u64;

std::string outcome_words(const Outcome& outcome) {
  return outcome ? "no error" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
}

std::string text_of(std::string_view view) { return std::string(view); }

/// Writes down what it is told, and refuses what starts with `refuse_`.
class Recorder final : public GraphConfigVisitor {
 public:
  Outcome schema(const SchemaConfig& config) override {
    return note("schema " + text_of(config.name) + " " + std::to_string(config.id));
  }
  Outcome graph(const GraphConfig& config) override {
    return note("graph " + text_of(config.name) + " " + std::to_string(config.memory_bytes) + " " +
                std::to_string(config.tensors) + " server " + std::to_string(config.budget_ns) + "/" +
                std::to_string(config.deadline_ns) + "/" + std::to_string(config.period_ns) +
                (config.soft ? " soft" : "") + (config.manual ? " manual" : "") + " steps " +
                std::to_string(config.steps));
  }
  Outcome channel(const ChannelConfig& config) override {
    return note("channel " + std::to_string(config.id) + " " + std::to_string(config.capacity) + " " +
                text_of(config.policy) + " '" + text_of(config.schema) + "'");
  }
  Outcome operator_(const OperatorConfig& config) override {
    std::string line = "operator " + std::to_string(config.id) + " " + text_of(config.name) + " " +
                       text_of(config.kind) + " " + text_of(config.stage) + " " + std::to_string(config.priority) +
                       " wcet " + std::to_string(config.wcet_ns) + " cpu " + std::to_string(config.cpu) + " in";
    for (const std::uint32_t id : config.inputs) {
      line += " " + std::to_string(id);
    }
    line += " out";
    for (const std::uint32_t id : config.outputs) {
      line += " " + std::to_string(id);
    }
    line += " '" + text_of(config.in_schema) + "' '" + text_of(config.out_schema) + "'";
    for (const ParameterConfig& parameter : config.parameters) {
      line += " " + text_of(parameter.name) + "=" + text_of(parameter.value);
    }
    return note(line);
  }
  Outcome end_graph() override { return note("end"); }

  std::vector<std::string> lines;
  std::string refuse = "nothing";

 private:
  Outcome note(const std::string& line) {
    lines.push_back(line);
    if (line.starts_with(refuse)) {
      return fail("refused", "here");
    }
    return {};
  }
};

/// Two schemas; a graph with everything, and one with as little as there can be.
TreeNode with_graphs() {
  TreeNode root("");
  root.set("compatible", text("sis,scenario-v1"));
  TreeNode& schemas = root.add("schemas");
  schemas.add("schema@0").set("name", text("image")).set("id", cells({3000}));
  schemas.add("schema@1").set("name", text("label-1._"));
  TreeNode& graphs = root.add("graphs");
  TreeNode& graph = graphs.add("graph@0");
  graph.set("name", text("vision"))
      .set("memory-bytes", u64(1 << 20))
      .set("tensors", cells({256}))
      .set("budget-ns", u64(2))
      .set("period-ns", u64(10))
      .set("deadline-ns", u64(5))
      .set("soft", {})
      .set("manual", {})
      .set("steps", cells({100}));
  graph.add("channel@0").set("id", cells({0})).set("capacity", cells({1}));
  graph.add("channel@1")
      .set("id", cells({65534}))
      .set("capacity", cells({65535}))
      .set("policy", text("drop-newest"))
      .set("schema", text("image"));
  graph.add("operator@0")
      .set("name", text("camera"))
      .set("id", cells({1}))
      .set("kind", text("image-source"))
      .set("stage", text("acquire"))
      .set("priority", cells({255}))
      .set("wcet-ns", u64(200'000))
      .set("cpu", cells({7}))
      .set("outputs", cells({0, 65534}))
      .set("in-schema", text("text"))
      .set("out-schema", text("image"))
      .set("parameters", texts({"width", "32", "pattern", "checker", "empty", ""}));
  graph.add("operator@1")
      .set("name", text("end"))
      .set("id", cells({0xffff'ffff}))
      .set("kind", text("sink"))
      .set("stage", text("explain"))
      .set("inputs", cells({65534, 0}));
  TreeNode& little = graphs.add("graph@1");
  little.set("name", text("little")).set("memory-bytes", u64(4096)).set("tensors", cells({1}));
  return root;
}

TEST(GraphConfig, everything_is_told_in_the_order_in_which_it_can_be_built) {
  const TreeBlob blob(with_graphs());
  Recorder recorder;
  const Outcome outcome = visit_graphs(blob.bytes(), recorder);
  ASSERT_TRUE(outcome) << outcome_words(outcome);
  EXPECT_EQ(
      recorder.lines,
      (std::vector<std::string>{
          "schema image 3000", "schema label-1._ 0", "graph vision 1048576 256 server 2/5/10 soft manual steps 100",
          "channel 0 1 block ''", "channel 65534 65535 drop-newest 'image'",
          "operator 1 camera image-source acquire 255 wcet 200000 cpu 7 in out 0 65534 'text' 'image' width=32 "
          "pattern=checker empty=",
          "operator 4294967295 end sink explain 0 wcet 0 cpu 0 in 65534 0 out '' ''", "end",
          "graph little 4096 1 server 0/0/0 steps 0", "end"}));
}

TEST(GraphConfig, reading_the_scenario_checks_graphs_and_keeps_nothing_of_them) {
  const TreeBlob blob(with_graphs());
  BootConfig config;
  const Outcome outcome = read_scenario_tree(blob.bytes(), config);
  EXPECT_TRUE(outcome) << outcome_words(outcome);
}

// What else is in a tree is none of its business.
TEST(GraphConfig, tree_without_graphs_has_nothing_to_visit) {
  TreeNode root("");
  root.set("compatible", text("sis,scenario-v1"));
  root.add("scheduler").add("graphs").set("x", {});
  Recorder recorder;
  EXPECT_TRUE(visit_graphs(TreeBlob(root).bytes(), recorder));
  EXPECT_TRUE(recorder.lines.empty());
}

TEST(GraphConfig, refusal_of_the_visitor_ends_the_walk) {
  const TreeBlob blob(with_graphs());
  for (const char* refuse : {"schema label", "graph", "channel 65534", "operator 4294967295", "end"}) {
    Recorder recorder;
    recorder.refuse = refuse;
    EXPECT_EQ(outcome_words(visit_graphs(blob.bytes(), recorder)), "refused: here");
    EXPECT_TRUE(recorder.lines.back().starts_with(refuse)) << recorder.lines.back();
  }
}

struct Breakage {
  const char* label;
  void (*change)(TreeNode&);
  const char* error;
};
class GraphConfigBreakage : public ::testing::TestWithParam<Breakage> {};

TEST_P(GraphConfigBreakage, is_refused_by_name) {
  TreeNode root = with_graphs();
  GetParam().change(root);
  const TreeBlob blob(root);
  BootConfig config;
  EXPECT_EQ(outcome_words(read_scenario_tree(blob.bytes(), config)), GetParam().error);
  Recorder recorder;
  EXPECT_EQ(outcome_words(visit_graphs(blob.bytes(), recorder)), GetParam().error);
}

TreeNode& schema(TreeNode& root) { return root.at("schemas").at("schema@0"); }
TreeNode& graph(TreeNode& root) { return root.at("graphs").at("graph@0"); }
TreeNode& channel(TreeNode& root) { return graph(root).at("channel@1"); }
TreeNode& op(TreeNode& root) { return graph(root).at("operator@0"); }

const Breakage kBreakages[] = {
    {"second_graphs", [](TreeNode& r) { r.add("graphs"); }, "tree-duplicate: node /graphs is there twice"},
    {"second_schemas", [](TreeNode& r) { r.add("schemas"); }, "tree-duplicate: node /schemas is there twice"},
    {"late_schemas", [](TreeNode& r) { r.drop("schemas"), r.add("schemas"); },
     "tree-unknown-node: 'schemas' in / after 'graphs', expected before it"},
    {"property_of_graphs", [](TreeNode& r) { r.at("graphs").set("manual", {}); },
     "tree-unknown-property: 'manual' of /graphs"},
    {"property_of_schemas", [](TreeNode& r) { r.at("schemas").set("x\n", {}); },
     "tree-unknown-property: 'x\\n' of /schemas"},
    {"gap_in_graphs", [](TreeNode& r) { r.at("graphs").drop("graph@0"); },
     "tree-unknown-node: 'graph@1' in /graphs, expected 'graph@0'"},
    {"gap_in_schemas", [](TreeNode& r) { r.at("schemas").drop("schema@0"); },
     "tree-unknown-node: 'schema@1' in /schemas, expected 'schema@0'"},
    {"gap_in_channels", [](TreeNode& r) { graph(r).drop("channel@0"); },
     "tree-unknown-node: 'channel@1' in a graph, expected 'channel@0'"},
    {"gap_in_operators", [](TreeNode& r) { graph(r).drop("operator@0"); },
     "tree-unknown-node: 'operator@1' in a graph, expected 'operator@0'"},
    {"late_channel", [](TreeNode& r) { graph(r).add("channel@2"); },
     "tree-unknown-node: 'channel@2' in a graph, expected 'operator@2'"},
    {"node_in_schema", [](TreeNode& r) { schema(r).add("id"); },
     "tree-unknown-node: 'id' in a schema; known are 'boot', 'control', 'scheduler', 'tasks', 'schemas', 'graphs' and "
     "'llm' "
     "in /"},
    {"node_in_channel", [](TreeNode& r) { channel(r).add("operator@0"); },
     "tree-unknown-node: 'operator@0' in a channel; known are 'boot', 'control', 'scheduler', 'tasks', 'schemas', "
     "'graphs' and 'llm' in /"},
    {"node_in_operator", [](TreeNode& r) { op(r).add("graphs"); },
     "tree-unknown-node: 'graphs' in an operator; known are 'boot', 'control', 'scheduler', 'tasks', 'schemas', "
     "'graphs' and 'llm' in /"},
    {"schema_without_name", [](TreeNode& r) { schema(r).remove("name"); }, "tree-missing-property: 'name' of schema 0"},
    {"schema_name", [](TreeNode& r) { schema(r).set("name", text("Image")); },
     "tree-bad-value: 'name' of a schema (6 bytes): expected 1 to 32 of a-z 0-9 . _ -"},
    {"schema_long_name", [](TreeNode& r) { schema(r).set("name", text(std::string(33, 'n'))); },
     "tree-bad-value: 'name' of a schema (34 bytes): expected 1 to 32 of a-z 0-9 . _ -"},
    {"schema_id", [](TreeNode& r) { schema(r).set("id", cells({0})); },
     "tree-bad-value: 'id' of a schema is 0: expected 1 to 4294967295"},
    {"graph_without_name", [](TreeNode& r) { graph(r).remove("name"); }, "tree-missing-property: 'name' of graph 0"},
    {"graph_without_memory", [](TreeNode& r) { graph(r).remove("memory-bytes"); },
     "tree-missing-property: 'memory-bytes' of graph 0"},
    {"graph_without_tensors", [](TreeNode& r) { r.at("graphs").at("graph@1").remove("tensors"); },
     "tree-missing-property: 'tensors' of graph 1"},
    {"graph_name", [](TreeNode& r) { graph(r).set("name", text("a b")); },
     "tree-bad-value: 'name' of a graph (4 bytes): expected 1 to 24 of A-Z a-z 0-9 . _ -"},
    {"graph_long_name", [](TreeNode& r) { graph(r).set("name", text(std::string(25, 'n'))); },
     "tree-bad-value: 'name' of a graph (26 bytes): expected 1 to 24 of A-Z a-z 0-9 . _ -"},
    {"operator_long_name", [](TreeNode& r) { op(r).set("name", text(std::string(33, 'n'))); },
     "tree-bad-value: 'name' of an operator (34 bytes): expected 1 to 32 of A-Z a-z 0-9 . _ -"},
    {"graph_memory", [](TreeNode& r) { graph(r).set("memory-bytes", u64((1ULL << 30) + 4096)); },
     "tree-bad-value: 'memory-bytes' of a graph is 1073745920: expected 4096 to 1073741824"},
    {"graph_half_a_page", [](TreeNode& r) { graph(r).set("memory-bytes", u64(6144)); },
     "tree-bad-value: 'memory-bytes' of a graph (8 bytes): expected whole pages of 4096 bytes"},
    {"graph_tensors", [](TreeNode& r) { graph(r).set("tensors", cells({65536})); },
     "tree-bad-value: 'tensors' of a graph is 65536: expected 1 to 65535"},
    {"graph_steps", [](TreeNode& r) { graph(r).set("steps", cells({0})); },
     "tree-bad-value: 'steps' of a graph is 0: expected 1 to 1000000000"},
    {"graph_soft", [](TreeNode& r) { graph(r).set("soft", text("no")); },
     "tree-bad-value: 'soft' of a graph (3 bytes): expected no value"},
    {"graph_manual", [](TreeNode& r) { graph(r).set("manual", text("no")); },
     "tree-bad-value: 'manual' of a graph (3 bytes): expected no value"},
    {"graph_without_budget", [](TreeNode& r) { graph(r).remove("budget-ns"); },
     "tree-missing-property: 'budget-ns' of graph 0"},
    {"graph_without_deadline", [](TreeNode& r) { graph(r).remove("deadline-ns"); },
     "tree-missing-property: 'deadline-ns' of graph 0"},
    {"soft_without_server", [](TreeNode& r) { r.at("graphs").at("graph@1").set("soft", {}); },
     "tree-missing-property: 'budget-ns' of graph 1"},
    {"graph_period", [](TreeNode& r) { graph(r).set("period-ns", u64(1'000'000'000'001)); },
     "tree-bad-value: 'period-ns' of a graph is 1000000000001: expected 1 to 1000000000000"},
    {"budget_above_deadline", [](TreeNode& r) { graph(r).set("budget-ns", u64(6)); },
     "tree-bad-value: graph 0: budget 6, deadline 5, period 10: each at most the next"},
    {"deadline_above_period", [](TreeNode& r) { graph(r).set("deadline-ns", u64(11)); },
     "tree-bad-value: graph 0: budget 2, deadline 11, period 10: each at most the next"},
    {"channel_without_id", [](TreeNode& r) { channel(r).remove("id"); },
     "tree-missing-property: 'id' of channel 1 of graph 0"},
    {"channel_without_capacity", [](TreeNode& r) { channel(r).remove("capacity"); },
     "tree-missing-property: 'capacity' of channel 1 of graph 0"},
    {"channel_id", [](TreeNode& r) { channel(r).set("id", cells({65535})); },
     "tree-bad-value: 'id' of a channel is 65535: expected 0 to 65534"},
    {"channel_capacity", [](TreeNode& r) { channel(r).set("capacity", cells({0})); },
     "tree-bad-value: 'capacity' of a channel is 0: expected 1 to 65535"},
    {"channel_policy", [](TreeNode& r) { channel(r).set("policy", text("drop")); },
     "tree-bad-value: 'policy' of a channel (5 bytes): expected 'block', 'drop-oldest' or 'drop-newest'"},
    {"channel_schema", [](TreeNode& r) { channel(r).set("schema", text("")); },
     "tree-bad-value: 'schema' of a channel (1 bytes): expected 1 to 32 of a-z 0-9 . _ -"},
    {"operator_without_name", [](TreeNode& r) { op(r).remove("name"); },
     "tree-missing-property: 'name' of operator 0 of graph 0"},
    {"operator_without_id", [](TreeNode& r) { op(r).remove("id"); },
     "tree-missing-property: 'id' of operator 0 of graph 0"},
    {"operator_without_kind", [](TreeNode& r) { op(r).remove("kind"); },
     "tree-missing-property: 'kind' of operator 0 of graph 0"},
    {"operator_without_stage", [](TreeNode& r) { graph(r).at("operator@1").remove("stage"); },
     "tree-missing-property: 'stage' of operator 1 of graph 0"},
    {"operator_name", [](TreeNode& r) { op(r).set("name", {'a'}); },
     "tree-bad-value: 'name' of an operator (1 bytes): expected one text ended by a NUL"},
    {"operator_id", [](TreeNode& r) { op(r).set("id", cells({0})); },
     "tree-bad-value: 'id' of an operator is 0: expected 1 to 4294967295"},
    {"operator_kind", [](TreeNode& r) { op(r).set("kind", text("a_b")); },
     "tree-bad-value: 'kind' of an operator (4 bytes): expected 1 to 32 of a-z 0-9 . -"},
    {"operator_stage", [](TreeNode& r) { op(r).set("stage", text("first")); },
     "tree-bad-value: 'stage' of an operator (6 bytes): expected 'acquire', 'clean', 'explore', 'model' or 'explain'"},
    {"operator_priority", [](TreeNode& r) { op(r).set("priority", cells({256})); },
     "tree-bad-value: 'priority' of an operator is 256: expected 0 to 255"},
    {"operator_wcet", [](TreeNode& r) { op(r).set("wcet-ns", cells({5})); },
     "tree-bad-value: 'wcet-ns' of an operator (4 bytes): expected 8 bytes"},
    {"operator_cpu", [](TreeNode& r) { op(r).set("cpu", cells({8})); },
     "tree-bad-value: 'cpu' of an operator is 8: expected 0 to 7"},
    {"operator_inputs_empty", [](TreeNode& r) { op(r).set("inputs", {}); },
     "tree-bad-value: 'inputs' of an operator (0 bytes): expected 1 to 8 numbers of 4 bytes"},
    {"operator_inputs_uneven", [](TreeNode& r) { op(r).set("inputs", ByteVector(5, 0)); },
     "tree-bad-value: 'inputs' of an operator (5 bytes): expected 1 to 8 numbers of 4 bytes"},
    {"operator_outputs_many", [](TreeNode& r) { op(r).set("outputs", ByteVector(36, 0)); },
     "tree-bad-value: 'outputs' of an operator (36 bytes): expected 1 to 8 numbers of 4 bytes"},
    {"operator_outputs_value", [](TreeNode& r) { op(r).set("outputs", cells({1, 65535})); },
     "tree-bad-value: 'outputs' of an operator has 65535: expected 0 to 65534"},
    {"operator_in_schema", [](TreeNode& r) { op(r).set("in-schema", text("A")); },
     "tree-bad-value: 'in-schema' of an operator (2 bytes): expected 1 to 32 of a-z 0-9 . _ -"},
    {"unknown_property", [](TreeNode& r) { op(r).set("deadline-ns", u64(1)); },
     "tree-unknown-property: 'deadline-ns' of an operator"},
};
INSTANTIATE_TEST_SUITE_P(All, GraphConfigBreakage, ::testing::ValuesIn(kBreakages),
                         [](const auto& test) { return std::string(test.param.label); });

TEST(GraphConfig, parameters_are_pairs_of_a_name_and_a_value) {
  const std::vector<ByteVector> bad = {{},
                                       {'a'},
                                       text("a"),
                                       {'a', 0, 'b'},
                                       texts({"a", "b", "c"}),
                                       texts({"", "b"}),
                                       texts({"A", "b"}),
                                       texts({std::string(33, 'n'), "b"}),
                                       texts({"a", std::string(65, 'v')}),
                                       ByteVector(18, 'a')};
  for (const ByteVector& value : bad) {
    TreeNode root = with_graphs();
    op(root).set("parameters", value);
    BootConfig config;
    EXPECT_EQ(outcome_words(read_scenario_tree(TreeBlob(root).bytes(), config)),
              "tree-bad-value: 'parameters' of an operator (" + std::to_string(value.size()) +
                  " bytes): expected 1 to 8 pairs of texts: a name of a-z 0-9 _, and at most 64 bytes");
  }
}

/// A tree with a graph of so many parts, and operators with so many parameters.
std::string counted(std::size_t schemas, std::size_t graphs, std::size_t channels, std::size_t operators,
                    std::size_t parameters) {
  TreeNode root("");
  root.set("compatible", text("sis,scenario-v1"));
  TreeNode& schemas_node = root.add("schemas");
  for (std::size_t i = 0; i < schemas; ++i) {
    schemas_node.add("schema@" + std::to_string(i)).set("name", text("s"));
  }
  TreeNode& graphs_node = root.add("graphs");
  for (std::size_t i = 0; i < graphs; ++i) {
    TreeNode& node = graphs_node.add("graph@" + std::to_string(i));
    node.set("name", text("g")).set("memory-bytes", u64(4096)).set("tensors", cells({1}));
    for (std::size_t j = 0; j < channels; ++j) {
      node.add("channel@" + std::to_string(j)).set("id", cells({1})).set("capacity", cells({1}));
    }
    for (std::size_t j = 0; j < operators; ++j) {
      ByteVector values;
      for (std::size_t k = 0; k < parameters; ++k) {
        values.insert(values.end(), {'a', 0, 'b', 0});
      }
      node.add("operator@" + std::to_string(j))
          .set("name", text("o"))
          .set("id", cells({1}))
          .set("kind", text("k"))
          .set("stage", text("model"))
          .set("parameters", values);
    }
  }
  BootConfig config;
  return outcome_words(read_scenario_tree(TreeBlob(root).bytes(), config));
}

TEST(GraphConfig, there_is_room_for_as_many_as_is_said_and_no_more) {
  EXPECT_EQ(counted(62, 8, 2, 2, 8), "no error");
  EXPECT_EQ(counted(0, 1, 128, 64, 8), "no error");
  EXPECT_EQ(counted(63, 1, 1, 1, 1), "tree-bad-value: more than 62 nodes 'schema@' in /schemas");
  EXPECT_EQ(counted(1, 9, 1, 1, 1), "tree-bad-value: more than 8 nodes 'graph@' in /graphs");
  EXPECT_EQ(counted(1, 1, 129, 1, 1), "tree-bad-value: more than 128 nodes 'channel@' in a graph");
  EXPECT_EQ(counted(1, 1, 1, 65, 1), "tree-bad-value: more than 64 nodes 'operator@' in a graph");
  EXPECT_EQ(counted(1, 1, 1, 1, 9),
            "tree-bad-value: 'parameters' of an operator (36 bytes): expected 1 to 8 pairs of texts: a name of a-z 0-9 "
            "_, and at most 64 bytes");
}

TEST(GraphConfig, property_that_is_there_twice_is_refused) {
  std::vector<std::uint64_t> words(512);
  void* const tree = words.data();
  ASSERT_EQ(fdt_create(tree, 4096), 0);
  ASSERT_EQ(fdt_finish_reservemap(tree), 0);
  ASSERT_EQ(fdt_begin_node(tree, ""), 0);
  ASSERT_EQ(fdt_begin_node(tree, "schemas"), 0);
  ASSERT_EQ(fdt_begin_node(tree, "schema@0"), 0);
  ASSERT_EQ(fdt_property_u32(tree, "id", 1), 0);
  ASSERT_EQ(fdt_property_u32(tree, "id", 1), 0);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(fdt_end_node(tree), 0);
  }
  ASSERT_EQ(fdt_finish(tree), 0);
  BootConfig config;
  EXPECT_EQ(outcome_words(read_scenario_tree(std::as_bytes(std::span(words)), config)),
            "tree-duplicate: property 'id' of a schema is there twice");
}

// Whatever a tree is, both say the same of it, and what was accepted is visited to its end.
TEST(GraphConfig, changed_bytes_are_survived) {
  TreeBlob blob(with_graphs());
  BootConfig config;
  for (std::size_t i = 0; i < blob.size(); ++i) {
    const std::uint8_t saved = blob.data()[i];
    for (const unsigned value : {0U, 0x40U, 0xffU}) {
      blob.data()[i] = static_cast<std::uint8_t>(value);
      const Outcome accepted = read_scenario_tree(blob.bytes(), config);
      Recorder recorder;
      const Outcome visited = visit_graphs(blob.bytes(), recorder);
      EXPECT_TRUE(visited || !accepted) << "byte " << i << ": " << outcome_words(visited);
    }
    blob.data()[i] = saved;
  }
}

}  // namespace
}  // namespace guest::kernel
