// Graphs of the boot configuration: what is built, what is started, how a refusal names its reason.
#include "guest/graph/run/graph_builder.hpp"

#include <gtest/gtest.h>

#include <string>

#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::graph {
namespace {

/// Of which a source notes when its run began.
struct TestCode final : OperatorCode {
  kernel::Outcome fire(Firing& firing) override {
    threads::work(1000);
    for (std::size_t i = 0; i < firing.outputs(); ++i) {
      auto tensor = firing.allocate(DType::U8, Shape{});
      if (!tensor) {
        return std::unexpected(tensor.error());
      }
      firing.send(i, std::move(*tensor));
    }
    return {};
  }
  void begin(std::uint64_t now_ns) override { began_ns = now_ns; }
  static inline std::uint64_t began_ns = 0;
};

constexpr ParameterSpec kParameters[] = {{.name = "number", .max = 100},
                                         {.name = "text", .type = ParameterSpec::Type::Text, .max = 64}};

std::expected<std::unique_ptr<OperatorCode>, kernel::NamedError> make_code(const Parameters& /*parameters*/) {
  return std::make_unique<TestCode>();
}

constexpr OperatorKind kKinds[] = {
    {.name = "source", .help = "", .max_outputs = 8, .parameters = kParameters, .make = make_code},
    {.name = "sink", .help = "", .min_inputs = 1, .max_inputs = 8, .parameters = kParameters, .make = make_code},
};

class GraphBuilderTest : public ::testing::Test {
 protected:
  GraphBuilderTest() {
    threads::start_cpus();
    graphs.kinds().add(kKinds);
    sink.inputs = source.outputs = ids(1);
  }
  ~GraphBuilderTest() override {
    threads::run_until_idle();
    for (std::size_t i = 0; i < graphs.size(); ++i) {
      EXPECT_EQ(graphs.at(i).runner->report().state, RunState::Idle);
    }
  }

  static kernel::BoundedArray<std::uint32_t, 8> ids(std::uint32_t id) {
    kernel::BoundedArray<std::uint32_t, 8> one;
    EXPECT_TRUE(one.push_back(id));
    return one;
  }
  /// "no error", or the error in words.
  static std::string describe(const kernel::Outcome& outcome) {
    return outcome ? "no error" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
  }
  /// Visits the graph as visit_graphs() does, until something is refused. In a thread, as start() wants.
  std::string build() {
    std::string result;
    threads::start("boot", [&] {
      kernel::Outcome outcome = builder.graph(config);
      const auto then = [&outcome](auto&& next) {
        if (outcome) {
          outcome = next();
        }
      };
      then([&] { return builder.channel(channel); });
      then([&] { return builder.operator_(source); });
      then([&] { return builder.operator_(sink); });
      then([&] { return builder.end_graph(); });
      result = describe(outcome);
    });
    threads::run_until_idle();
    return result;
  }
  RunReport report() { return graphs.at(0).runner->report(); }

  GraphSet graphs;
  GraphBuilder builder{graphs};
  kernel::GraphConfig config{.name = "vision", .memory_bytes = 1 << 16, .tensors = 16, .steps = 10};
  kernel::ChannelConfig channel{.id = 1, .capacity = 3, .policy = "drop-newest", .schema = "text"};
  kernel::OperatorConfig source{.id = 1, .name = "a", .kind = "source", .stage = "acquire"};
  kernel::OperatorConfig sink{.id = 2, .name = "b", .kind = "sink", .stage = "explain"};
};

TEST_F(GraphBuilderTest, graph_is_as_it_was_configured) {
  ASSERT_TRUE(builder.schema({.name = "image", .id = 3000}));
  ASSERT_TRUE(builder.schema({.name = "label", .id = 0}));
  config.budget_ns = 1'000'000;
  config.deadline_ns = 5'000'000;
  config.period_ns = 10'000'000;
  config.soft = true;
  config.manual = true;
  channel.schema = "image";
  source.out_schema = "image";
  source.priority = 7;
  source.wcet_ns = 9;
  source.cpu = 1;
  ASSERT_TRUE(source.parameters.push_back({.name = "number", .value = "5"}));
  ASSERT_TRUE(source.parameters.push_back({.name = "text", .value = "files/a.pgm"}));
  EXPECT_EQ(build(), "no error");
  ASSERT_EQ(graphs.size(), 1U);
  const Graph& graph = *graphs.at(0).graph;
  EXPECT_EQ(graph.name(), "vision");
  EXPECT_EQ(graph.memory_bytes(), 1U << 16);
  EXPECT_EQ(graph.max_tensors(), 16U);
  const auto& server = graphs.at(0).runner->server();
  ASSERT_TRUE(server);
  EXPECT_EQ(std::tuple(server->budget, server->deadline, server->period), std::tuple(1'000'000, 5'000'000, 10'000'000));
  EXPECT_EQ(server->depletion, sched::Depletion::Soft);
  EXPECT_EQ(report().runs, 0U);
  const Channel& built = *graph.find_channel(1);
  EXPECT_EQ(std::tuple(built.capacity(), built.policy(), built.schema()),
            std::tuple(3U, ChannelPolicy::DropNewest, 3000U));
  EXPECT_EQ(*graphs.schemas().find("label"), kFirstChosenSchema);
  const Operator& made = *graph.find_operator(std::uint32_t{1});
  EXPECT_EQ(std::tuple(made.name(), made.kind().name, made.stage(), made.priority(), made.wcet_ns(), made.cpu()),
            std::tuple("a", "source", Stage::Acquire, 7, 9U, 1U));
  EXPECT_EQ(std::tuple(made.in_schema(), made.out_schema()), std::tuple(kUntyped, 3000U));
  EXPECT_EQ(made.parameters().integer("number"), 5);
  EXPECT_EQ(made.parameters().text("text"), "files/a.pgm");
  EXPECT_EQ(graph.find_operator(std::uint32_t{2})->stage(), Stage::Explain);
}

TEST_F(GraphBuilderTest, graph_that_starts_with_the_machine_waits_for_it) {
  EXPECT_EQ(build(), "no error");
  EXPECT_EQ(report().state, RunState::Paused);
  EXPECT_EQ(graphs.at(0).graph->find_operator("a")->metrics().executions, 0U);
  threads::start("others boot", [] { threads::work(5'000'000); });
  threads::run_until_idle();
  EXPECT_EQ(report().state, RunState::Paused);
  const std::uint64_t resumed_ns = threads::now_ns();
  threads::start("control", [this] { resume_graphs(graphs); });
  threads::run_until_idle();
  EXPECT_EQ(report().end, RunEnd::Finished);
  EXPECT_EQ(graphs.at(0).graph->find_operator("b")->metrics().executions, 10U);
  // A source that keeps to a time has nothing to make up for.
  EXPECT_GE(TestCode::began_ns, resumed_ns);
  EXPECT_LT(report().ran_ns, 5'000'000U);
}

TEST_F(GraphBuilderTest, graph_that_waits_can_be_stopped) {
  EXPECT_EQ(build(), "no error");
  threads::start("control", [this] {
    EXPECT_TRUE(graphs.at(0).runner->stop());
    resume_graphs(graphs);  // not this one any more
  });
  threads::run_until_idle();
  EXPECT_EQ(report().end, RunEnd::Stopped);
  EXPECT_EQ(graphs.at(0).graph->find_operator("a")->metrics().executions, 0U);
}

TEST_F(GraphBuilderTest, graph_without_steps_runs_for_ever) {
  config.steps = 0;
  channel.policy = "drop-oldest";
  EXPECT_EQ(build(), "no error");
  threads::start("control", [this] {
    resume_graphs(graphs);
    threads::dispatcher().park_until(threads::now_ns() + 50'000'000);
    EXPECT_EQ(report().state, RunState::Running);
    EXPECT_GT(graphs.at(0).graph->find_operator("a")->metrics().executions, 1000U);
    EXPECT_TRUE(graphs.at(0).runner->stop());
  });
  threads::run_until_idle();
}

TEST_F(GraphBuilderTest, refusals_name_the_graph_and_the_reason) {
  channel.schema = "imag";
  EXPECT_EQ(build(), "graph-refused: graph 'vision': graph-unknown-schema: there is no schema 'imag'");
  channel.schema = "text";
  EXPECT_EQ(build(), "graph-refused: graph 'vision': graph-duplicate-name: there is a graph 'vision' already");
  config.name = "second";
  source.out_schema = "x";
  EXPECT_EQ(build(), "graph-refused: graph 'second': graph-unknown-schema: there is no schema 'x'");
  config.name = "third";
  source.out_schema = "tokens";
  EXPECT_EQ(build(),
            "graph-refused: graph 'third': graph-schema-mismatch: channel 1 and operator 'a': the channel expects "
            "schema 1001 (text), given is 1002 (tokens)");
  config.name = "fourth";
  source.out_schema = "";
  sink.inputs.clear();
  sink.kind = "source";
  EXPECT_EQ(build(), "graph-refused: graph 'fourth': graph-incomplete: channel 1 of graph 'fourth' has no consumer");
  config.name = "fifth";
  config.memory_bytes = 4096;
  config.tensors = 65535;
  EXPECT_EQ(build().substr(0, 52), "graph-refused: graph 'fifth': graph-bad-memory: 6553");
}

TEST_F(GraphBuilderTest, graph_that_does_not_fit_is_refused_with_the_arithmetic) {
  config.budget_ns = config.deadline_ns = config.period_ns = 10'000'000;
  EXPECT_EQ(build(),
            "graph-refused: graph 'vision': graph-not-admitted: graph 'vision' does not fit on CPU 0: it needs 1000000 "
            "ppm, 0 are promised of at most 850000");
}

TEST_F(GraphBuilderTest, refusals_of_schemas) {
  ASSERT_TRUE(builder.schema({.name = "image", .id = 3000}));
  EXPECT_EQ(describe(builder.schema({.name = "image", .id = 3001})),
            "graph-refused: schema 'image' of id 3001: the name has another id, or the id another name");
  EXPECT_EQ(describe(builder.schema({.name = "other", .id = 3000})),
            "graph-refused: schema 'other' of id 3000: the name has another id, or the id another name");
  std::string last;
  for (int i = 0; i < 62; ++i) {
    const std::string name = "s" + std::to_string(i);
    last = describe(builder.schema({.name = name, .id = 0}));
  }
  EXPECT_EQ(last, "graph-refused: schema 's61': there are 64 already, which is all there can be");
}

}  // namespace
}  // namespace guest::graph
