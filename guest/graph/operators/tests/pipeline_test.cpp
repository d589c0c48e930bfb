// Built-in operators in company.
#include <gtest/gtest.h>

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
    ASSERT_TRUE(graph->operators()[0]->fire(0));
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

}  // namespace
}  // namespace guest::graph
