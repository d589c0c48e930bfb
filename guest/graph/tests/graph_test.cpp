// A graph's structure: every way to be refused, with its message, and that nothing is half done afterwards.
#include "guest/graph/graph.hpp"

#include <gtest/gtest.h>

#include "graph_fixture.hpp"

namespace guest::graph {
namespace {

const std::string kLongName(33, 'n');

class Graphs : public GraphFixture {
 protected:
  std::string refusal(const GraphSpec& spec) {
    const auto made = Graph::make(spec, kinds, schemas);
    EXPECT_FALSE(made);
    return made ? "" : std::string(made.error().name) + ": " + std::string(made.error().detail.view());
  }
};

TEST_F(Graphs, are_made_with_what_the_spec_says) {
  const auto made = make({.name = "Az09._-", .memory_bytes = 1 << 16, .tensors = 7});
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(made->name(), "Az09._-");
  EXPECT_EQ(made->memory_bytes(), 1U << 16);
  EXPECT_EQ(made->max_tensors(), 7U);
  EXPECT_EQ(made->arena().statistics().capacity, 7U);
  EXPECT_TRUE(made->channels().empty());
  EXPECT_TRUE(made->operators().empty());
}

TEST_F(Graphs, need_a_name) {
  EXPECT_EQ(refusal({.name = ""}), "graph-bad-name: graph '': expected 1 to 24 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(refusal({.name = "a b"}), "graph-bad-name: graph 'a b': expected 1 to 24 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(refusal({.name = "\x1b[0m\n"}),
            "graph-bad-name: graph '\\x1b[0m\\n': expected 1 to 24 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(refusal({.name = kLongName}),
            "graph-bad-name: graph '" + kLongName + "': expected 1 to 24 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(refusal({.name = std::string(1000, 'x')}),
            "graph-bad-name: graph '" + std::string(40, 'x') + "': expected 1 to 24 of A-Z a-z 0-9 . _ -");
  EXPECT_NE(make({.name = std::string_view(kLongName).substr(0, kMaxGraphName), .memory_bytes = 1 << 16, .tensors = 1}),
            nullptr);
}

TEST_F(Graphs, need_memory_within_limits) {
  const std::uint64_t least = TensorArena::memory_for(4, TensorArena::kDataAlignment);
  const std::string expected = ": expected 1 to 65535 tensors and " + std::to_string(least) + " to 1073741824 bytes";
  EXPECT_EQ(refusal({.name = "g", .memory_bytes = least - 1, .tensors = 4}),
            "graph-bad-memory: 4 tensors in " + std::to_string(least - 1) + " bytes" + expected);
  EXPECT_EQ(refusal({.name = "g", .memory_bytes = (1 << 30) + 1, .tensors = 4}),
            "graph-bad-memory: 4 tensors in 1073741825 bytes" + expected);
  EXPECT_NE(make({.name = "g", .memory_bytes = least, .tensors = 4}), nullptr);
  EXPECT_TRUE(
      refusal({.name = "g", .tensors = 0}).starts_with("graph-bad-memory: 0 tensors in 1048576 bytes: expected 1"));
  EXPECT_TRUE(refusal({.name = "g", .memory_bytes = 1 << 30, .tensors = 65'536})
                  .starts_with("graph-bad-memory: 65536 tensors in 1073741824 bytes: expected 1"));
}

class Channels : public GraphFixture {};

TEST_F(Channels, are_added_with_what_the_spec_says) {
  EXPECT_EQ(
      text(graph->add_channel({.id = 0, .capacity = 1, .policy = ChannelPolicy::DropOldest, .schema = kSchemaText})),
      "ok");
  EXPECT_EQ(channel(65'534, 65'535), "ok");
  EXPECT_EQ(dump(),
            "graph g 65536 16\n"
            "channel 0 1 drop-oldest schema 1001 depth 0 - -\n"
            "channel 65534 65535 block schema 0 depth 0 - -\n"
            "schemas 2 live 0 used 0\n");
}

TEST_F(Channels, that_cannot_be_change_nothing) {
  ASSERT_EQ(channel(7), "ok");
  const std::string before = dump();
  const std::string expected = ": expected an id below 65535 and a capacity of 1 to 65535";
  EXPECT_EQ(channel(65'535), "graph-bad-channel: channel 65535 of capacity 2" + expected);
  EXPECT_EQ(channel(1, 0), "graph-bad-channel: channel 1 of capacity 0" + expected);
  EXPECT_EQ(channel(1, 65'536), "graph-bad-channel: channel 1 of capacity 65536" + expected);
  EXPECT_EQ(channel(7), "graph-duplicate-id: there is a channel 7 already");
  EXPECT_EQ(channel(1, 2, 4711), "graph-unknown-schema: channel 1: there is no schema 4711");
  EXPECT_EQ(dump(), before);
}

TEST_F(Channels, are_at_most_128) {
  for (std::uint32_t id = 0; id < 128; ++id) {
    ASSERT_EQ(channel(id), "ok");
  }
  const std::string before = dump();
  EXPECT_EQ(channel(128), "graph-full: channel 128: the graph has 128 channels already, which is all it can have");
  EXPECT_EQ(channel(5), "graph-duplicate-id: there is a channel 5 already");
  EXPECT_EQ(dump(), before);
}

class Operators : public GraphFixture {
 protected:
  Operators() {
    for (const std::uint32_t id : {1U, 2U, 3U, 4U}) {
      EXPECT_EQ(channel(id), "ok");
    }
    EXPECT_EQ(channel(5, 2, kSchemaText), "ok");
    EXPECT_EQ(text(graph->add_operator({.id = 9, .name = "first", .kind = "source", .outputs = kOne})), "ok");
  }
  /// Refused, and nothing has changed.
  std::string refusal(const OperatorSpec& spec) {
    const std::string before = dump();
    const std::string refused = text(graph->add_operator(spec));
    EXPECT_NE(refused, "ok");
    EXPECT_EQ(dump(), before) << refused;
    return refused;
  }
  /// As refusal(), of a relay from 1 to 2 with one thing wrong with it.
  std::string with_parameters(std::vector<GivenParameter> parameters) {
    return refusal(
        {.id = 10, .name = "it", .kind = "relay", .inputs = kOne, .outputs = kTwo, .parameters = parameters});
  }
  static constexpr std::uint32_t kOne[] = {1};
  static constexpr std::uint32_t kTwo[] = {2};
  static constexpr std::uint32_t kFive[] = {5};
};

TEST_F(Operators, are_added_with_what_the_spec_says) {
  constexpr std::uint32_t kIn[] = {1, 5};
  constexpr std::uint32_t kOut[] = {4, 2};
  const std::vector<GivenParameter> parameters = {{"mode", "three"}, {"level", "-5"}};
  EXPECT_EQ(text(graph->add_operator({.id = 0xffff'ffff,
                                      .name = "It.is-1",
                                      .kind = "relay",
                                      .priority = 255,
                                      .stage = Stage::Explain,
                                      .wcet_ns = 5000,
                                      .cpu = kernel::kMaxCpus - 1,
                                      .inputs = kIn,
                                      .outputs = kOut,
                                      .in_schema = kSchemaText,
                                      .out_schema = kSchemaTokens,
                                      .parameters = parameters})),
            "ok");
  const std::string cpu = std::to_string(kernel::kMaxCpus - 1);
  EXPECT_EQ(dump(),
            "graph g 65536 16\n"
            "channel 1 2 block schema 1001 depth 0 first It.is-1\n"
            "channel 2 2 block schema 1002 depth 0 It.is-1 -\n"
            "channel 3 2 block schema 0 depth 0 - -\n"
            "channel 4 2 block schema 1002 depth 0 It.is-1 -\n"
            "channel 5 2 block schema 1001 depth 0 - It.is-1\n"
            "operator 9 first source priority 0 acquire wcet 0 cpu 0 schemas 0 0 | | 1\n"
            "operator 4294967295 It.is-1 relay priority 255 explain wcet 5000 cpu " +
                cpu +
                " schemas 1001 1002 | 1 5 | 4 2 level=-5/ mode=0/three\n"
                "schemas 2 live 0 used 0\n");
  const Operator& added = *graph->find_operator("It.is-1");
  EXPECT_EQ(graph->find_operator(0xffff'ffffU), &added);
  EXPECT_FALSE(added.is_source());
  EXPECT_TRUE(graph->find_operator("first")->is_source());
  EXPECT_EQ(added.parameters().integer("level"), -5);
  EXPECT_EQ(added.parameters().text("mode"), "three");
  EXPECT_FALSE(added.parameters().has("text"));
}

TEST_F(Operators, need_a_name_and_an_id_that_nobody_has) {
  EXPECT_EQ(refusal({.id = 10, .name = "", .kind = "relay"}),
            "graph-bad-name: operator '': expected 1 to 32 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(refusal({.id = 10, .name = kLongName, .kind = "relay"}),
            "graph-bad-name: operator '" + kLongName + "': expected 1 to 32 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(refusal({.id = 0, .name = "it", .kind = "relay"}),
            "graph-bad-operator: operator 'it' has the id 0: expected 1 or more");
  EXPECT_EQ(refusal({.id = 9, .name = "it", .kind = "relay"}), "graph-duplicate-id: there is an operator 9 already");
  EXPECT_EQ(refusal({.id = 10, .name = "first", .kind = "relay"}),
            "graph-duplicate-name: there is an operator 'first' already");
}

TEST_F(Operators, need_a_kind_ports_and_a_cpu_that_there_are) {
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "no\n"}),
            "graph-unknown-kind: operator 'it': there is no kind 'no\\n'; 'graph kinds' lists them");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay"}),
            "graph-bad-operator: operator 'it' has 0 inputs and 0 outputs: 'relay' has 1 to 8 and 1 to 8");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kOne}),
            "graph-bad-operator: operator 'it' has 1 inputs and 0 outputs: 'relay' has 1 to 8 and 1 to 8");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "source", .inputs = kOne, .outputs = kTwo}),
            "graph-bad-operator: operator 'it' has 1 inputs and 1 outputs: 'source' has 0 to 0 and 0 to 8");
  EXPECT_EQ(
      refusal({.id = 10, .name = "it", .kind = "relay", .cpu = kernel::kMaxCpus, .inputs = kOne, .outputs = kTwo}),
      "graph-bad-operator: operator 'it' on CPU " + std::to_string(kernel::kMaxCpus) + ": expected 0 to " +
          std::to_string(kernel::kMaxCpus - 1));
  std::vector<std::uint32_t> nine(9);
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = nine, .outputs = kTwo}),
            "graph-bad-operator: operator 'it' has 9 inputs and 1 outputs: 'relay' has 1 to 8 and 1 to 8");
}

TEST_F(Operators, need_channels_that_are_there_and_free) {
  constexpr std::uint32_t kNone[] = {6};
  constexpr std::uint32_t kTwice[] = {2, 3, 2};
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kNone, .outputs = kTwo}),
            "graph-unknown-channel: operator 'it': there is no channel 6");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kOne, .outputs = kNone}),
            "graph-unknown-channel: operator 'it': there is no channel 6");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kTwo, .outputs = kOne}),
            "graph-channel-taken: operator 'it': channel 1 has a producer already, 'first'");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kOne, .outputs = kTwice}),
            "graph-channel-taken: operator 'it' would be the producer of channel 2 twice");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kTwice, .outputs = kFive}),
            "graph-channel-taken: operator 'it' would be the consumer of channel 2 twice");
  ASSERT_EQ(text(graph->add_operator({.id = 10, .name = "last", .kind = "sink", .inputs = kOne})), "ok");
  EXPECT_EQ(refusal({.id = 11, .name = "it", .kind = "sink", .inputs = kOne}),
            "graph-channel-taken: operator 'it': channel 1 has a consumer already, 'last'");
}

TEST_F(Operators, may_feed_themselves) {
  constexpr std::uint32_t kLoop[] = {2};
  EXPECT_EQ(text(graph->add_operator({.id = 10, .name = "it", .kind = "relay", .inputs = kLoop, .outputs = kLoop})),
            "ok");
  EXPECT_EQ(graph->producer_of(*graph->find_channel(2)), graph->consumer_of(*graph->find_channel(2)));
}

TEST_F(Operators, must_agree_with_their_channels_on_schemas) {
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kOne, .outputs = kTwo, .in_schema = 77}),
            "graph-unknown-schema: operator 'it': there is no schema 77");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kOne, .outputs = kTwo, .out_schema = 78}),
            "graph-unknown-schema: operator 'it': there is no schema 78");
  EXPECT_EQ(graph->schema_mismatches(), 0U);
  EXPECT_EQ(
      refusal({.id = 10, .name = "it", .kind = "relay", .inputs = kFive, .outputs = kTwo, .in_schema = kSchemaTokens}),
      "graph-schema-mismatch: channel 5 and operator 'it': the channel expects schema 1001 (text), given is 1002 "
      "(tokens)");
  EXPECT_EQ(graph->schema_mismatches(), 1U);
  // The inputs agree and would be bound, but an output does not: nothing is bound.
  constexpr std::uint32_t kOut[] = {2, 5};
  EXPECT_EQ(refusal({.id = 10,
                     .name = "it",
                     .kind = "relay",
                     .inputs = kOne,
                     .outputs = kOut,
                     .in_schema = kSchemaText,
                     .out_schema = kSchemaTokens}),
            "graph-schema-mismatch: channel 5 and operator 'it': the channel expects schema 1001 (text), given is 1002 "
            "(tokens)");
  EXPECT_EQ(graph->schema_mismatches(), 2U);
}

TEST_F(Operators, that_feed_themselves_must_agree_with_themselves) {
  // The channel is untyped: each side alone would bind it.
  EXPECT_EQ(refusal({.id = 10,
                     .name = "it",
                     .kind = "relay",
                     .inputs = kTwo,
                     .outputs = kTwo,
                     .in_schema = kSchemaText,
                     .out_schema = kSchemaTokens}),
            "graph-schema-mismatch: channel 2 and operator 'it': the channel expects schema 1001 (text), given is 1002 "
            "(tokens)");
  EXPECT_EQ(graph->schema_mismatches(), 1U);
}

TEST_F(Operators, need_parameters_that_their_kind_has) {
  const std::string begin = "graph-bad-parameter: operator 'it' (relay): ";
  EXPECT_EQ(with_parameters({{"no\x7f", "1"}}), begin + "there is no parameter 'no\\x7f' here");
  EXPECT_EQ(with_parameters({{"level", "1"}, {"level", "1"}}), begin + "parameter 'level' is given twice");
  for (const std::string bad : {"6", "-6", "", "1x", " 1", "+1", "0x1", "99999999999999999999", "1.5"}) {
    EXPECT_EQ(with_parameters({{"level", bad}}), begin + "parameter 'level' is '" + bad + "': expected -5 to 5");
  }
  for (const std::string bad : {"four", "", "one|two", "on", "ONE"}) {
    EXPECT_EQ(with_parameters({{"mode", bad}}), begin + "parameter 'mode' is '" + bad + "': expected one|two|three");
  }
  EXPECT_EQ(with_parameters({{"text", ""}}), begin + "parameter 'text' has 0 bytes: expected 1 to 8");
  EXPECT_EQ(with_parameters({{"text", "123456789"}}), begin + "parameter 'text' has 9 bytes: expected 1 to 8");
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "needy"}),
            "graph-bad-parameter: operator 'it' (needy): parameter 'must' is missing: there is no way without");
}

TEST_F(Operators, whose_kind_refuses_are_not_added) {
  EXPECT_EQ(refusal({.id = 10, .name = "it", .kind = "broken", .outputs = kTwo}),
            "kind-is-not-well: operator 'it' (broken): never today");
}

TEST_F(Operators, are_at_most_64) {
  for (std::uint32_t id = 10; graph->operators().size() < 64; ++id) {
    const std::string name = "op" + std::to_string(id);
    ASSERT_EQ(text(graph->add_operator({.id = id, .name = name, .kind = "source"})), "ok");
  }
  EXPECT_EQ(refusal({.id = 100, .name = "it", .kind = "sink", .inputs = kOne}),
            "graph-full: operator 'it': the graph has 64 operators already, which is all it can have");
}

TEST_F(Operators, have_at_most_8_ports_on_each_side) {
  std::vector<std::uint32_t> in, out;
  for (std::uint32_t i = 0; i < 8; ++i) {
    ASSERT_EQ(channel(20 + i), "ok");
    ASSERT_EQ(channel(40 + i), "ok");
    in.push_back(20 + i);
    out.push_back(40 + i);
  }
  EXPECT_EQ(text(graph->add_operator({.id = 10, .name = "it", .kind = "relay", .inputs = in, .outputs = out})), "ok");
  EXPECT_EQ(graph->find_operator("it")->inputs().size(), 8U);
  EXPECT_EQ(graph->find_operator("it")->outputs()[7]->id(), 47U);
}

class Complete : public GraphFixture {};

TEST_F(Complete, is_a_graph_with_operators_at_both_ends_of_each_channel) {
  EXPECT_EQ(text(graph->check_complete()), "graph-incomplete: graph 'g' has no operators");
  ASSERT_EQ(channel(3), "ok");
  EXPECT_EQ(text(graph->check_complete()), "graph-incomplete: graph 'g' has no operators");
  constexpr std::uint32_t kThree[] = {3};
  ASSERT_EQ(text(graph->add_operator({.id = 1, .name = "end", .kind = "sink", .inputs = kThree})), "ok");
  EXPECT_EQ(text(graph->check_complete()), "graph-incomplete: channel 3 of graph 'g' has no producer");
  ASSERT_EQ(text(graph->add_operator({.id = 2, .name = "begin", .kind = "source", .outputs = kThree})), "ok");
  EXPECT_EQ(text(graph->check_complete()), "ok");
  ASSERT_EQ(channel(4), "ok");
  constexpr std::uint32_t kFour[] = {4};
  ASSERT_EQ(text(graph->add_operator({.id = 3, .name = "more", .kind = "source", .outputs = kFour})), "ok");
  EXPECT_EQ(text(graph->check_complete()), "graph-incomplete: channel 4 of graph 'g' has no consumer");
}

TEST(Stages, have_names_both_ways) {
  constexpr std::string_view kNames[] = {"acquire", "clean", "explore", "model", "explain"};
  for (std::uint8_t i = 0; i < kStages; ++i) {
    EXPECT_EQ(to_string(Stage{i}), kNames[i]);
    EXPECT_EQ(find_stage(kNames[i]), Stage{i});
  }
  EXPECT_EQ(to_string(Stage{kStages}), "?");
  EXPECT_FALSE(find_stage("Acquire"));
}

}  // namespace
}  // namespace guest::graph
