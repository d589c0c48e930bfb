// Built-in operators in company.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "guest/graph/operators/builtin.hpp"
#include "guest/graph/testing/graph_runner.hpp"

namespace guest::graph {
namespace {

class Pipeline : public ::testing::Test {
 protected:
  Pipeline() {
    kinds.add(builtin_kinds());
    graph = *Graph::make({.name = "test", .memory_bytes = std::uint64_t{1} << 20, .tensors = 64}, kinds, schemas);
  }
  void channel(std::uint32_t id, std::uint32_t capacity = 4, ChannelPolicy policy = ChannelPolicy::Block) {
    ASSERT_TRUE(graph->add_channel({.id = id, .capacity = capacity, .policy = policy}));
  }
  void add(std::string_view name, std::string_view kind, std::vector<std::uint32_t> in, std::vector<std::uint32_t> out,
           std::vector<GivenParameter> parameters = {}) {
    const auto added = graph->add_operator({.id = static_cast<std::uint32_t>(graph->operators().size() + 1),
                                            .name = name,
                                            .kind = kind,
                                            .inputs = in,
                                            .outputs = out,
                                            .parameters = parameters});
    ASSERT_TRUE(added) << (added ? "" : added.error().detail.view());
  }

  KindTable kinds;
  SchemaRegistry schemas;
  std::unique_ptr<Graph> graph;
};

TEST_F(Pipeline, source_threshold_split_sink_copies_no_byte) {
  for (const std::uint32_t id : {1U, 2U, 3U, 4U}) {
    channel(id);
  }
  add("source", "synthetic-source", {}, {1}, {{"count", "100"}, {"elements", "1000"}, {"pattern", "ramp"}});
  add("threshold", "threshold", {1}, {2}, {{"level", "128"}});
  add("split", "split", {2}, {3, 4});
  add("one", "sink", {3}, {}, {{"check", "sequence"}});
  add("other", "sink", {4}, {}, {{"check", "sequence"}});
  ASSERT_TRUE(graph->check_complete());
  testing::GraphRunner runner(*graph);
  runner.begin();
  const auto ran = runner.run();
  ASSERT_TRUE(ran) << ran.error().detail.view();
  EXPECT_EQ(*ran, 500U);
  EXPECT_TRUE(runner.sources_finished());
  const TensorStatistics statistics = graph->arena().statistics();
  EXPECT_EQ(statistics.bytes_copied, 0U);
  EXPECT_EQ(statistics.allocated, 100U);  // the threshold writes in place
  EXPECT_EQ(statistics.live, 0U);
}

TEST_F(Pipeline, a_gap_fails_a_sink_that_checks_sequences) {
  channel(1, 2, ChannelPolicy::DropOldest);
  add("source", "synthetic-source", {}, {1}, {{"count", "10"}});
  add("sink", "sink", {1}, {}, {{"check", "sequence"}});
  testing::GraphRunner runner(*graph);
  runner.begin();
  ASSERT_TRUE(runner.run(2));
  // Three more into the channel, which keeps two of them.
  for (int i = 0; i < 3; ++i) {
    Operator::Fired fired;
    ASSERT_TRUE(graph->operators()[0]->fire(0, fired));
  }
  const auto ran = runner.run();
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().name, "graph-sequence-gap");
  EXPECT_EQ(ran.error().detail.view(), "input 0: expected tensor 1 of operator 1, given 3 of 1");
  EXPECT_EQ(graph->find_operator("sink")->metrics().failures, 1U);
}

TEST_F(Pipeline, a_source_with_a_period_fires_on_time_and_makes_up_for_what_was_late) {
  channel(1);
  add("source", "synthetic-source", {}, {1}, {{"count", "3"}, {"period_us", "1000"}});
  add("sink", "sink", {1}, {});
  testing::GraphRunner runner(*graph);
  const std::uint64_t start_ns = runner.now_ns();
  runner.begin();
  OperatorCode& source = graph->operators()[0]->code();
  EXPECT_EQ(source.ready_at(start_ns), start_ns);
  ASSERT_TRUE(runner.run(1));
  EXPECT_EQ(source.ready_at(start_ns), start_ns + 1'000'000);
  runner.set_now_ns(start_ns + 1'700'000);
  ASSERT_TRUE(runner.run(2));
  EXPECT_EQ(source.ready_at(runner.now_ns()), start_ns + 2'000'000);
  ASSERT_TRUE(runner.run());
  EXPECT_TRUE(runner.sources_finished());
  EXPECT_EQ(source.ready_at(runner.now_ns()), OperatorCode::kAsleep);
  EXPECT_EQ(runner.now_ns(), start_ns + 2'000'000);
}

/// What `source` shows at 64 by 64 is seen by the classifier at the end of five stages, image after image.
TEST_F(Pipeline, the_classifier_knows_each_test_pattern_after_five_stages) {
  for (std::uint32_t id = 1; id <= 6; ++id) {
    channel(id);
  }
  add("camera", "image-source", {}, {1, 2}, {{"pattern", "cycle"}, {"count", "40"}, {"noise", "16"}, {"seed", "5"}});
  add("smooth", "convolve", {1}, {3}, {{"kernel", "gauss"}});
  add("shrink", "resize", {3}, {4}, {{"height", "16"}, {"width", "16"}});
  add("scale", "normalise", {4}, {5});
  add("classify", "mlp-classifier", {5}, {6});
  add("compare", "sink", {2, 6}, {}, {{"check", "equal"}});
  ASSERT_TRUE(graph->check_complete());
  testing::GraphRunner runner(*graph);
  runner.begin();
  const auto ran = runner.run();
  ASSERT_TRUE(ran) << ran.error().detail.view();
  EXPECT_EQ(*ran, 240U);
  EXPECT_EQ(graph->find_operator("compare")->metrics().executions, 40U);
  EXPECT_EQ(graph->arena().statistics().bytes_copied, 0U);
  EXPECT_EQ(graph->arena().statistics().live, 0U);
}

TEST(BuiltinKinds, are_complete_and_described) {
  std::vector<std::string_view> names;
  for (const OperatorKind& kind : builtin_kinds()) {
    names.push_back(kind.name);
    EXPECT_FALSE(kind.help.empty()) << kind.name;
    for (const ParameterSpec& parameter : kind.parameters) {
      EXPECT_FALSE(parameter.help.empty()) << kind.name << " " << parameter.name;
      const bool has_range = parameter.type == ParameterSpec::Type::Choice || parameter.max > parameter.min;
      EXPECT_TRUE(has_range) << kind.name << " " << parameter.name;
    }
  }
  EXPECT_EQ(names.size(), 22U);
}

/// The text between two marks of a page; none where one is missing.
std::string between(const std::string& page, const std::string& begin, const std::string& end) {
  const std::size_t from = page.find(begin);
  const std::size_t to = from == std::string::npos ? from : page.find(end, from + begin.size());
  return to == std::string::npos ? "" : page.substr(from + begin.size(), to - from - begin.size());
}

TEST(BuiltinKinds, are_in_the_documentation_with_their_ports_and_parameters) {
  std::ifstream file(SIS_GRAPH_OPERATORS_PAGE);
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto ports = [](unsigned min, unsigned max) {
    return min == max ? std::to_string(min) : std::to_string(min) + " to " + std::to_string(max);
  };
  for (const OperatorKind& kind : builtin_kinds()) {
    const std::string row = between(page, "| `" + std::string(kind.name) + "` |", "|\n");
    EXPECT_TRUE(row.starts_with(" " + ports(kind.min_inputs, kind.max_inputs) + " | " +
                                ports(kind.min_outputs, kind.max_outputs) + " |"))
        << kind.name << row;
    for (const ParameterSpec& parameter : kind.parameters) {
      EXPECT_NE(row.find("`" + std::string(parameter.name) + "`"), std::string::npos)
          << kind.name << " " << parameter.name;
    }
  }
}

}  // namespace
}  // namespace guest::graph
