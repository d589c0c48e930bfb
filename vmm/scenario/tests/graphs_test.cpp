// The sections `schemas` and `graphs`. What is refused of them is in bad/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/scenario/files.hpp"
#include "vmm/scenario/load.hpp"

namespace vmm::scenario {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

Scenario load(const std::string& yaml) {
  auto scenario = load_text("apiVersion: sis/v1\n" + yaml, "/dir/t.yaml");
  EXPECT_TRUE(scenario) << scenario.error().message;
  return scenario ? *scenario : Scenario{};
}

TEST(GraphsTest, graph_has_the_defaults) {
  const Scenario scenario = load("graphs: [{name: g, operators: [{id: 1, name: a, kind: k, stage: explain}]}]");
  ASSERT_EQ(scenario.graphs.size(), 1U);
  Graph wanted{.name = "g"};
  wanted.operators.push_back({.id = 1, .name = "a", .kind = "k", .stage = Stage::Explain});
  EXPECT_EQ(scenario.graphs[0], wanted);
  EXPECT_EQ(wanted.memory_bytes, 1U << 20);
  EXPECT_EQ(wanted.tensors, 256U);
  EXPECT_EQ(wanted.start, GraphStart::Auto);
  EXPECT_FALSE(wanted.steps || wanted.server);
}

constexpr char kPipeline[] =
    "machine: {cpus: 2}\n"
    "schemas: [{name: image, id: 3000}, {name: label}]\n"
    "graphs:\n"
    "- name: vision\n"
    "  memory: 4MiB\n"
    "  tensors: 16\n"
    "  server: {budget: 2ms, period: 10ms, deadline: 5ms, reservation: soft}\n"
    "  start: manual\n"
    "  steps: 7\n"
    "  channels:\n"
    "  - {id: 0, capacity: 1, schema: 3000}\n"
    "  - {id: 65534, capacity: 65535, policy: drop-newest, schema: 1001}\n"
    "  - {id: 2, capacity: 2, policy: drop-oldest, schema: label}\n"
    "  operators:\n"
    "  - {id: 1, name: camera, kind: image-source, stage: acquire, priority: 255, wcet: 200us, cpu: 1, out: [0],\n"
    "     out_schema: image, parameters: {width: 32, pattern: checker, n: -5, number: '32', text: '007'}}\n"
    "  - {id: 4294967295, name: b, kind: s, stage: model, in: [0], out: [2, 65534], in_schema: 3000}\n"
    "  - {id: 3, name: c, kind: s, stage: clean, in: [65534, 2]}\n";

TEST(GraphsTest, everything_is_read) {
  const Scenario scenario = load(kPipeline);
  EXPECT_EQ(scenario.schemas, (std::vector<Schema>{{.name = "image", .id = 3000}, {.name = "label"}}));
  ASSERT_EQ(scenario.graphs.size(), 1U);
  const Graph& graph = scenario.graphs[0];
  EXPECT_EQ(graph.name, "vision");
  EXPECT_EQ(graph.memory_bytes, 4U << 20);
  EXPECT_EQ(graph.tensors, 16U);
  EXPECT_EQ(graph.server,
            (GraphServer{.budget = 2ms, .period = 10ms, .deadline = 5ms, .reservation = Reservation::Soft}));
  EXPECT_EQ(graph.start, GraphStart::Manual);
  EXPECT_EQ(graph.steps, 7U);
  EXPECT_EQ(graph.channels,
            (std::vector<Channel>{
                {.id = 0, .capacity = 1, .schema = {.name = "image"}},
                {.id = 65534, .capacity = 65535, .policy = ChannelPolicy::DropNewest, .schema = {.name = "text"}},
                {.id = 2, .capacity = 2, .policy = ChannelPolicy::DropOldest, .schema = {.name = "label"}}}));
  ASSERT_EQ(graph.operators.size(), 3U);
  EXPECT_EQ(
      graph.operators[0],
      (Operator{
          .id = 1,
          .name = "camera",
          .kind = "image-source",
          .stage = Stage::Acquire,
          .priority = 255,
          .wcet = 200us,
          .cpu = 1,
          .out = {0},
          .out_schema = {.name = "image"},
          .parameters = {
              .values = {{"width", "32"}, {"pattern", "checker"}, {"n", "-5"}, {"number", "32"}, {"text", "007"}}}}));
  EXPECT_EQ(graph.operators[1], (Operator{.id = 4294967295,
                                          .name = "b",
                                          .kind = "s",
                                          .stage = Stage::Model,
                                          .in = {0},
                                          .out = {2, 65534},
                                          .in_schema = {.name = "image"}}));
}

TEST(GraphsTest, schema_called_like_a_number_is_meant_by_its_name_in_quotes) {
  const Scenario scenario = load(
      "schemas: [{name: '3000', id: 7}, {name: other, id: 3000}]\n"
      "graphs: [{name: g, channels: [{id: 1, capacity: 1, schema: '3000'}], operators: [{id: 1, name: a, kind: k, "
      "stage: explain, in: [1], out: [1], in_schema: 3000}]}]");
  EXPECT_EQ(scenario.graphs.at(0).channels.at(0).schema.name, "3000");
  EXPECT_EQ(scenario.graphs.at(0).operators.at(0).in_schema.name, "other");
}

// Numbers stay numbers, and texts that could be taken for numbers stay texts.
TEST(GraphsTest, what_was_read_is_written_and_read_again) {
  const Scenario scenario = load(kPipeline);
  const std::string yaml = to_yaml(scenario);
  const auto again = load_text(yaml, "/dir/t.yaml");
  ASSERT_TRUE(again) << again.error().message << yaml;
  EXPECT_EQ(again->graphs, scenario.graphs);
  EXPECT_THAT(yaml, testing::HasSubstr("width: 32\n"));
  EXPECT_THAT(yaml, testing::HasSubstr("text: \"007\"\n"));
}

TEST(GraphsTest, files_are_relative_to_the_scenario_and_know_their_place) {
  const Scenario scenario = load(
      "graphs:\n- {name: g, operators: [{id: 1, name: a, kind: k, stage: acquire}, {id: 2, name: b, kind: k, stage: "
      "model, parameters: {x: 1, file: ../shapes.pgm}}]}\n"
      "tasks: [{name: t, program: {file: p.elf}}]");
  EXPECT_EQ(scenario.graphs.at(0).operators.at(1).parameters,
            (OperatorParameters{.values = {{"x", "1"}},
                                .file = "/shapes.pgm",
                                .place = "/dir/t.yaml:3:133: graphs[0].operators[1].parameters.file"}));
  const std::vector<NamedFile> files = named_files(scenario);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].place, "/dir/t.yaml:4:35: tasks[0].program.file");
  EXPECT_EQ(files[1].key, "graphs[0].operators[1].parameters.file");
  EXPECT_EQ(archive_name(files[1].use, files[1].path), "files/shapes.pgm");
}

}  // namespace
}  // namespace vmm::scenario
