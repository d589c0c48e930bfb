// Making graphs by commands: what is refused, with which words, and that nothing half-made stays.
#include <gtest/gtest.h>

#include "graph_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::string_view>;

constexpr std::string_view kName33 = "abcdefghijklmnopqrstuvwxyzabcdefg";

TEST_F(GraphCommandTest, create_answers_with_what_there_is) {
  EXPECT_EQ(done("graph create", {"g"}), (json{{"graph", "g"}, {"channels", 0}, {"operators", 0}}));
  EXPECT_EQ(structure("g"), (json{{"name", "g"},
                                  {"memory", 1 << 20},
                                  {"tensors", 256},
                                  {"schemas", json::array()},
                                  {"channels", json::array()},
                                  {"operators", json::array()}}));
  done("graph create", {"h", "65536", "8", "1000", "10000", "8000", "soft"});
  const json made = structure("h");
  EXPECT_EQ(made["memory"], 65536);
  EXPECT_EQ(made["tensors"], 8);
  EXPECT_EQ(made["server"],
            (json{{"budget_us", 1000}, {"period_us", 10000}, {"deadline_us", 8000}, {"reservation", "soft"}}));
  done("graph create", {"i", "--budget_us", "1000", "--period_us", "10000"});
  EXPECT_EQ(structure("i")["server"],
            (json{{"budget_us", 1000}, {"period_us", 10000}, {"deadline_us", 10000}, {"reservation", "hard"}}));
}

TEST_F(GraphCommandTest, the_trace_knows_graphs_by_numbers_that_none_has_again) {
  done("graph create", {"a"});
  done("graph destroy", {"a"});
  done("graph create", {"b"});
  done("graph create", {"c"});
  done("graph add-channel", {"c", "7", "4"});
  done("graph add-operator", {"c", "3", "end", "pass", "7"});
  const std::string b = std::to_string(graph::graph_set().find("b")->graph->id());
  const std::string c = std::to_string(graph::graph_set().find("c")->graph->id());
  EXPECT_EQ(done("trace names", {})["graphs"][b],
            (json{{"name", "b"}, {"operators", json::object()}, {"channels", json::object()}}));
  EXPECT_EQ(done("trace names", {"c"}), (json{{"graphs",
                                               {{c,
                                                 {{"name", "c"},
                                                  {"operators", {{"3", {{"name", "end"}, {"kind", "pass"}}}}},
                                                  {"channels", {{"7", {{"capacity", 4}}}}}}}}}}));
  EXPECT_EQ(std::stoul(c), std::stoul(b) + 1);
  EXPECT_EQ(refusal("trace names", {"a"}), "graph-unknown [graph]: there is no graph 'a'; 'graph list' lists them");
}

TEST_F(GraphCommandTest, create_refuses_with_its_reason_and_makes_nothing) {
  const auto create = [this](const Words& words) { return refusal("graph create", words); };
  EXPECT_EQ(create({}), "missing-argument [graph]: graph is missing: name of a graph");
  EXPECT_EQ(create({""}), "bad-argument [graph]: graph: found 0 bytes, allowed: 1 to 24");
  EXPECT_EQ(create({"abcdefghijklmnopqrstuvwxy"}), "bad-argument [graph]: graph: found 25 bytes, allowed: 1 to 24");
  EXPECT_EQ(create({"a b"}), "graph-bad-name: graph 'a b': expected 1 to 24 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(create({"a\x1b"}), "graph-bad-name: graph 'a\\x1b': expected 1 to 24 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(create({"g", "4095"}),
            "bad-argument [memory]: memory: found 4095, allowed: an integer from 4096 to 1073741824");
  EXPECT_EQ(create({"g", "65536", "0"}), "bad-argument [tensors]: tensors: found 0, allowed: an integer from 1 to " +
                                             std::to_string(graph::TensorArena::kMaxTensors));
  EXPECT_EQ(create({"g", "4096", "256"}),
            "graph-bad-memory: 256 tensors in 4096 bytes: expected 1 to " +
                std::to_string(graph::TensorArena::kMaxTensors) + " tensors and " +
                std::to_string(graph::TensorArena::memory_for(256, graph::TensorArena::kDataAlignment)) +
                " to 1073741824 bytes");
  EXPECT_EQ(create({"g", "--budget_us", "1"}),
            "missing-argument [period_us]: period_us is missing: a server has a budget_us and a period_us");
  EXPECT_EQ(create({"g", "--period_us", "1"}),
            "missing-argument [budget_us]: budget_us is missing: a server has a budget_us and a period_us");
  EXPECT_EQ(create({"g", "--deadline_us", "1"}),
            "missing-argument [budget_us]: budget_us is missing: a server has a budget_us and a period_us");
  EXPECT_EQ(create({"g", "--reservation", "hard"}),
            "missing-argument [budget_us]: budget_us is missing: a server has a budget_us and a period_us");
  EXPECT_EQ(create({"g", "--budget_us", "11", "--period_us", "10"}),
            "graph-bad-server: graph 'g': expected 0 < budget <= deadline <= period <= 1000 s");
  EXPECT_EQ(create({"g", "--budget_us", "1", "--period_us", "10", "--deadline_us", "11"}),
            "graph-bad-server: graph 'g': expected 0 < budget <= deadline <= period <= 1000 s");
  EXPECT_EQ(create({"g", "--budget_us", "0", "--period_us", "10"}),
            "bad-argument [budget_us]: budget_us: found 0, allowed: an integer from 1 to 1000000000");
  EXPECT_EQ(create({"g", "--reservation", "firm"}),
            "bad-argument [reservation]: reservation: found 'firm', allowed: hard|soft");
  EXPECT_EQ(run("graph list")["graphs"], json::array());

  done("graph create", {"g"});
  EXPECT_EQ(create({"g"}), "graph-duplicate-name: there is a graph 'g' already");
  EXPECT_EQ(run("graph list")["graphs"].size(), 1U);
}

TEST_F(GraphCommandTest, the_ninth_graph_is_refused_and_fits_when_one_is_destroyed) {
  const std::string names = "abcdefgh";
  for (std::size_t i = 0; i < names.size(); ++i) {
    done("graph create", {std::string_view(names).substr(i, 1)});
  }
  EXPECT_EQ(refusal("graph create", {"i"}),
            "graph-full: graph 'i': there are 8 graphs already, which is all there can be");
  EXPECT_EQ(done("graph destroy", {"c"}), (json{{"graphs", 7}}));
  done("graph create", {"i"});
  const json graphs = run("graph list")["graphs"];
  ASSERT_EQ(graphs.size(), 8U);
  EXPECT_EQ(graphs[2]["graph"], "d");  // those behind it have moved up
  EXPECT_EQ(graphs[7]["graph"], "i");
  EXPECT_EQ(graphs[0], (json{{"graph", "a"},
                             {"state", "idle"},
                             {"end", "none"},
                             {"runs", 0},
                             {"executions", 0},
                             {"ran_ns", 0},
                             {"channels", 0},
                             {"operators", 0}}));
}

TEST_F(GraphCommandTest, every_command_of_one_graph_says_that_there_is_none) {
  constexpr std::string_view kOfOne[] = {"graph destroy", "graph drain", "graph export", "graph pause", "graph resume",
                                         "graph show",    "graph start", "graph stats",  "graph stop",  "graph wait"};
  for (const std::string_view name : kOfOne) {
    EXPECT_EQ(refusal(name, {"no\x1bne"}),
              "graph-unknown [graph]: there is no graph 'no\\x1bne'; 'graph list' lists them")
        << name;
    EXPECT_EQ(refusal(name, {}), "missing-argument [graph]: graph is missing: name of a graph") << name;
  }
  EXPECT_EQ(refusal("graph add-channel", {"none", "1", "1"}),
            "graph-unknown [graph]: there is no graph 'none'; 'graph list' lists them");
  EXPECT_EQ(refusal("graph add-operator", {"none", "1", "a", "src"}),
            "graph-unknown [graph]: there is no graph 'none'; 'graph list' lists them");
}

TEST_F(GraphCommandTest, channels_are_added_as_they_are_described) {
  done("graph create", {"g"});
  EXPECT_EQ(done("graph add-channel", {"g", "0", "1"}), (json{{"graph", "g"}, {"channels", 1}, {"operators", 0}}));
  done("graph add-channel", {"g", "65534", "65535", "drop-oldest", "text"});
  done("graph add-channel", {"g", "7", "3", "drop-newest", "1002"});
  EXPECT_EQ(structure("g")["channels"],
            (json{{{"id", 0}, {"capacity", 1}, {"policy", "block"}},
                  {{"id", 65534}, {"capacity", 65535}, {"policy", "drop-oldest"}, {"schema", "text"}},
                  {{"id", 7}, {"capacity", 3}, {"policy", "drop-newest"}, {"schema", "tokens"}}}));
}

TEST_F(GraphCommandTest, add_channel_refuses_with_its_reason_and_adds_nothing) {
  done("graph create", {"g"});
  done("graph add-channel", {"g", "1", "2"});
  const json before = structure("g");
  const auto add = [this](Words words) {
    words.insert(words.begin(), "g");
    return refusal("graph add-channel", words);
  };
  EXPECT_EQ(add({}), "missing-argument [id]: id is missing: of the channel");
  EXPECT_EQ(add({"2"}), "missing-argument [capacity]: capacity is missing: tensors");
  EXPECT_EQ(add({"65535", "1"}), "bad-argument [id]: id: found 65535, allowed: an integer from 0 to 65534");
  EXPECT_EQ(add({"2", "0"}), "bad-argument [capacity]: capacity: found 0, allowed: an integer from 1 to 65535");
  EXPECT_EQ(add({"2", "65536"}), "bad-argument [capacity]: capacity: found 65536, allowed: an integer from 1 to 65535");
  EXPECT_EQ(add({"2", "1", "wait"}),
            "bad-argument [policy]: policy: found 'wait', allowed: block|drop-oldest|drop-newest");
  EXPECT_EQ(add({"1", "1"}), "graph-duplicate-id: there is a channel 1 already");
  EXPECT_EQ(add({"2", "1", "block", "pic\x07ture"}),
            "graph-unknown-schema [schema]: there is no schema 'pic\\x07ture'; 'graph list' lists them");
  EXPECT_EQ(add({"2", "1", "block", "1003"}),
            "graph-unknown-schema [schema]: there is no schema '1003'; 'graph list' lists them");
  EXPECT_EQ(add({"2", "1", "block", "0"}),
            "graph-unknown-schema [schema]: there is no schema '0'; 'graph list' lists them");
  EXPECT_EQ(structure("g"), before);
}

TEST_F(GraphCommandTest, a_graph_has_128_channels_and_64_operators_at_most) {
  done("graph create", {"g", "1048576", "4"});
  for (std::size_t i = 0; i < graph::kMaxChannels; ++i) {
    done("graph add-channel", {"g", std::to_string(i), "1"});
  }
  EXPECT_EQ(refusal("graph add-channel", {"g", "500", "1"}),
            "graph-full: channel 500: the graph has 128 channels already, which is all it can have");
  for (std::size_t i = 1; i <= graph::kMaxOperators; ++i) {
    done("graph add-operator", {"g", std::to_string(i), "o" + std::to_string(i), "src"});
  }
  EXPECT_EQ(refusal("graph add-operator", {"g", "500", "last", "src", "", "1"}),
            "graph-full: operator 'last': the graph has 64 operators already, which is all it can have");
  EXPECT_EQ(done("graph show", {"g"})["operators"].size(), graph::kMaxOperators);
}

TEST_F(GraphCommandTest, operators_are_added_as_they_are_described) {
  done("graph create", {"g"});
  for (const std::string_view id : {"1", "2", "3"}) {
    done("graph add-channel", {"g", id, "4"});
  }
  done("graph add-operator", {"g", "9", "in", "src", "", "1,2"});
  EXPECT_EQ(done("graph add-operator", {"g", "4294967295", "mid", "pass", "2,1", "3", "255", "explain", "500", "7",
                                        "text", "1002", "offset=-7,mode=slow,label=x=y"}),
            (json{{"graph", "g"}, {"channels", 3}, {"operators", 2}}));
  const json made = structure("g");
  EXPECT_EQ(made["operators"][0], (json{{"id", 9},
                                        {"name", "in"},
                                        {"kind", "src"},
                                        {"priority", 0},
                                        {"stage", "acquire"},
                                        {"wcet_ns", 0},
                                        {"cpu", 0},
                                        {"inputs", json::array()},
                                        {"outputs", {1, 2}},
                                        {"parameters", json::object()}}));
  EXPECT_EQ(made["operators"][1], (json{{"id", 4294967295},
                                        {"name", "mid"},
                                        {"kind", "pass"},
                                        {"priority", 255},
                                        {"stage", "explain"},
                                        {"wcet_ns", 500},
                                        {"cpu", 7},
                                        {"inputs", {2, 1}},
                                        {"outputs", json::array({3})},
                                        {"in_schema", "text"},
                                        {"out_schema", "tokens"},
                                        {"parameters", {{"offset", -7}, {"mode", "slow"}, {"label", "x=y"}}}}));
  // The operator has bound them.
  EXPECT_EQ(made["channels"][0]["schema"], "text");
  EXPECT_EQ(made["channels"][2]["schema"], "tokens");
}

class AddOperatorTest : public GraphCommandTest {
 protected:
  AddOperatorTest() {
    done("graph create", {"g"});
    for (const std::string_view id : {"1", "2", "3"}) {
      done("graph add-channel", {"g", id, "4"});
    }
    done("graph add-channel", {"g", "4", "4", "block", "text"});
    done("graph add-operator", {"g", "1", "in", "src", "", "1"});
    before_ = structure("g");
  }
  ~AddOperatorTest() override { EXPECT_EQ(structure("g"), before_); }
  std::string add(Words words) {
    words.insert(words.begin(), "g");
    return refusal("graph add-operator", words);
  }

 private:
  json before_;
};

TEST_F(AddOperatorTest, arguments_that_are_missing_or_out_of_range) {
  EXPECT_EQ(add({}), "missing-argument [id]: id is missing: of the operator");
  EXPECT_EQ(add({"2"}), "missing-argument [name]: name is missing: of the operator");
  EXPECT_EQ(add({"2", "b"}), "missing-argument [kind]: kind is missing: 'graph kinds' lists them");
  EXPECT_EQ(add({"0", "b", "src"}), "bad-argument [id]: id: found 0, allowed: an integer from 1 to 4294967295");
  EXPECT_EQ(add({"2", kName33, "src"}), "bad-argument [name]: name: found 33 bytes, allowed: 1 to 32");
  EXPECT_EQ(add({"2", "b", "src", "--priority", "256"}),
            "bad-argument [priority]: priority: found 256, allowed: an integer from 0 to 255");
  EXPECT_EQ(add({"2", "b", "src", "--stage", "think"}),
            "bad-argument [stage]: stage: found 'think', allowed: acquire|clean|explore|model|explain");
  EXPECT_EQ(add({"2", "b", "src", "--wcet_ns", "1000000000001"}),
            "bad-argument [wcet_ns]: wcet_ns: found 1000000000001, allowed: an integer from 0 to 1000000000000");
  EXPECT_EQ(add({"2", "b", "src", "--cpu", "8"}), "bad-argument [cpu]: cpu: found 8, allowed: an integer from 0 to 7");
}

TEST_F(AddOperatorTest, ids_of_channels_that_are_none) {
  const auto expected = [](std::string_view where, std::string_view given) {
    return "bad-argument [" + std::string(where) + "]: '" + std::string(given) + "': expected ids of channels, \"1,2\"";
  };
  for (const std::string_view bad : {"x", ",", "2,", ",2", "2,,3", "2 3", "-2", "2.0", "4294967296", "0x2"}) {
    EXPECT_EQ(add({"2", "b", "pass", bad}), expected("inputs", bad));
    EXPECT_EQ(add({"2", "b", "pass", "1", bad}), expected("outputs", bad));
  }
  EXPECT_EQ(add({"2", "b", "pass", "1,2,3,4,5,6,7,8,9"}),
            "bad-argument [inputs]: '1,2,3,4,5,6,7,8,9': at most 8 channels");
  EXPECT_EQ(add({"2", "b", "pass", "77"}), "graph-unknown-channel: operator 'b': there is no channel 77");
  EXPECT_EQ(add({"2", "b", "src", "", "1"}),
            "graph-channel-taken: operator 'b': channel 1 has a producer already, 'in'");
  EXPECT_EQ(add({"2", "b", "pass", "2,2"}),
            "graph-channel-taken: operator 'b' would be the consumer of channel 2 twice");
}

TEST_F(AddOperatorTest, names_ids_and_kinds) {
  EXPECT_EQ(add({"1", "b", "src"}), "graph-duplicate-id: there is an operator 1 already");
  EXPECT_EQ(add({"2", "in", "src"}), "graph-duplicate-name: there is an operator 'in' already");
  EXPECT_EQ(add({"2", "b/c", "src"}), "graph-bad-name: operator 'b/c': expected 1 to 32 of A-Z a-z 0-9 . _ -");
  EXPECT_EQ(add({"2", "b", "no\nkind"}),
            "graph-unknown-kind: operator 'b': there is no kind 'no\\nkind'; 'graph kinds' lists them");
  EXPECT_EQ(add({"2", "b", "pass"}),
            "graph-bad-operator: operator 'b' has 0 inputs and 0 outputs: 'pass' has 1 to 8 and 0 to 8");
  EXPECT_EQ(add({"2", "b", "src", "1"}),
            "graph-bad-operator: operator 'b' has 1 inputs and 0 outputs: 'src' has 0 to 0 and 0 to 8");
  EXPECT_EQ(add({"2", "b", "absent"}), "graph-unavailable: operator 'b' (absent): this kernel has none of these");
}

TEST_F(AddOperatorTest, parameters) {
  /// As messages have it.
  const auto shown = [](std::string_view text) {
    TextCapture capture;
    kernel::write_escaped(capture, text);
    return capture.text;
  };
  const auto with = [this](std::string_view parameters) { return add({"2", "b", "src", "--parameters", parameters}); };
  const auto form = [](std::string_view given) {
    return "bad-argument [parameters]: '" + std::string(given) + "': expected NAME=VALUE[,NAME=VALUE]...";
  };
  EXPECT_EQ(with("count"), form("count"));
  EXPECT_EQ(with("=1"), form("=1"));
  EXPECT_EQ(with("count=1,"), form("count=1,"));
  EXPECT_EQ(with(",count=1"), form(""));
  EXPECT_EQ(with("count=1,,fails=2"), form(""));
  for (const char* const bad : {"label=a\\b", "label=a\\", "label=\\=", "label=\\\\\\"}) {
    EXPECT_EQ(with(bad), "bad-argument [parameters]: '" + shown(bad) +
                             "': behind a backslash expected ',' or another "
                             "backslash");
  }
  EXPECT_EQ(with("a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1"), "bad-argument [parameters]: at most 8 parameters");
  const auto wrong = [](const std::string& what) { return "graph-bad-parameter: operator 'b' (src): " + what; };
  EXPECT_EQ(with("size=1"), wrong("there is no parameter 'size' here"));
  EXPECT_EQ(with("count=1,count=1"), wrong("parameter 'count' is given twice"));
  EXPECT_EQ(with("count=-1"), wrong("parameter 'count' is '-1': expected 0 to 1000000"));
  EXPECT_EQ(with("count=1x"), wrong("parameter 'count' is '1x': expected 0 to 1000000"));
  EXPECT_EQ(with("count="), wrong("parameter 'count' is '': expected 0 to 1000000"));
  EXPECT_EQ(with("offset=-1001"), wrong("parameter 'offset' is '-1001': expected -1000 to 1000"));
  EXPECT_EQ(with("offset=99999999999999999999"),
            wrong("parameter 'offset' is '99999999999999999999': expected -1000 to 1000"));
  EXPECT_EQ(with("mode=quick"), wrong("parameter 'mode' is 'quick': expected fast|slow"));
  EXPECT_EQ(with("label="), wrong("parameter 'label' has 0 bytes: expected 1 to 40"));
  EXPECT_EQ(with("label=abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"),
            wrong("parameter 'label' has 52 bytes: expected 1 to 40"));
  EXPECT_EQ(add({"2", "b", "needy"}),
            "graph-bad-parameter: operator 'b' (needy): parameter 'level' is missing: how much");
}

TEST_F(GraphCommandTest, parameters_may_have_commas_and_backslashes) {
  done("graph create", {"g"});
  done("graph add-operator", {"g", "2", "b", "src", "--parameters", "label=a\\,b=\\\\,count=3"});
  EXPECT_EQ(structure("g")["operators"].back()["parameters"], json({{"count", 3}, {"label", "a,b=\\"}}));
}

TEST_F(AddOperatorTest, schemas) {
  EXPECT_EQ(add({"2", "b", "pass", "1", "2", "--in_schema", "nothing"}),
            "graph-unknown-schema [in_schema]: there is no schema 'nothing'; 'graph list' lists them");
  EXPECT_EQ(add({"2", "b", "pass", "1", "2", "--out_schema", "nothing"}),
            "graph-unknown-schema [out_schema]: there is no schema 'nothing'; 'graph list' lists them");
  // The input would be bound; the output does not fit, so that it is not.
  EXPECT_EQ(add({"2", "b", "pass", "1", "4", "--in_schema", "tokens", "--out_schema", "tokens"}),
            "graph-schema-mismatch: channel 4 and operator 'b': the channel expects schema 1001 (text), given is 1002 "
            "(tokens)");
  EXPECT_EQ(add({"2", "b", "pass", "4", "2", "--in_schema", "tokens"}),
            "graph-schema-mismatch: channel 4 and operator 'b': the channel expects schema 1001 (text), given is 1002 "
            "(tokens)");
  const json stats = done("graph stats", {"g"});
  EXPECT_EQ(stats["schema_mismatch_count"], 2);
  EXPECT_EQ(stats["graph_stats_ops"], 1);
  EXPECT_EQ(stats["graph_stats_channels"], 4);
}

TEST_F(GraphCommandTest, schemas_are_registered_once) {
  EXPECT_EQ(done("graph schema", {"image.u8"}), (json{{"name", "image.u8"}, {"id", 2000}}));
  EXPECT_EQ(done("graph schema", {"image.u8"})["id"], 2000);
  EXPECT_EQ(done("graph schema", {"image.u8", "2000"})["id"], 2000);
  EXPECT_EQ(done("graph schema", {"depth", "4294967295"})["id"], 4294967295);
  const auto add = [this](const Words& words) { return refusal("graph schema", words); };
  EXPECT_EQ(add({}), "missing-argument [name]: name is missing: of a schema: a-z 0-9 . _ -");
  EXPECT_EQ(add({"Image"}), "graph-bad-name [name]: 'Image': expected 1 to 32 of a-z 0-9 . _ -");
  EXPECT_EQ(add({"x", "0"}), "bad-argument [id]: id: found 0, allowed: an integer from 1 to 4294967295");
  EXPECT_EQ(add({"image.u8", "5"}), "graph-duplicate-schema [id]: schema 'image.u8' has another id, or 5 another name");
  EXPECT_EQ(add({"other", "2000"}), "graph-duplicate-schema [id]: schema 'other' has another id, or 2000 another name");
  const json schemas = run("graph list")["schemas"];
  EXPECT_EQ(schemas, (json{{{"id", 1001}, {"name", "text"}},
                           {{"id", 1002}, {"name", "tokens"}},
                           {{"id", 2000}, {"name", "image.u8"}},
                           {{"id", 4294967295}, {"name", "depth"}}}));
}

/// Regression test: "1001" was taken for the number of "text", and the graph that an export made again was another one.
TEST_F(GraphCommandTest, a_schema_whose_name_is_a_number_is_found_by_its_name) {
  done("graph schema", {"1001"});
  done("graph create", {"g"});
  done("graph add-channel", {"g", "1", "1", "block", "1001"});
  EXPECT_EQ(structure("g")["channels"][0]["schema"], "1001");
  EXPECT_EQ(structure("g")["schemas"].size(), 1U);
}

TEST_F(GraphCommandTest, kinds_are_listed_with_their_ports_and_parameters) {
  const json kinds = run("graph kinds")["kinds"];
  ASSERT_EQ(kinds.size(), std::size(kTestKinds));
  EXPECT_EQ(kinds[2], (json{{"name", "needy"},
                            {"help", "wants a level"},
                            {"min_inputs", 0},
                            {"max_inputs", 0},
                            {"min_outputs", 0},
                            {"max_outputs", 0},
                            {"parameters", json::array({json{{"name", "level"},
                                                             {"type", "integer"},
                                                             {"required", true},
                                                             {"min", 1},
                                                             {"max", 9},
                                                             {"help", "how much"}}})}}));
  EXPECT_EQ(kinds[1]["max_inputs"], 8);
  const auto parameter = [&](std::size_t index, const char* key) {
    return kinds[1]["parameters"][index].value(key, json());
  };
  EXPECT_EQ(parameter(4, "min"), -1000);
  EXPECT_EQ(parameter(4, "fallback"), 0);
  EXPECT_EQ(parameter(5, "type"), "choice");
  EXPECT_EQ(parameter(5, "choices"), "fast|slow");
  EXPECT_EQ(parameter(5, "fallback"), "fast");
  EXPECT_EQ(parameter(6, "type"), "text");
  EXPECT_EQ(parameter(6, "max"), 40);
  EXPECT_TRUE(parameter(6, "fallback").is_null());
  EXPECT_THAT(text, HasSubstr("name=needy"));
}

}  // namespace
}  // namespace guest::control::testing
