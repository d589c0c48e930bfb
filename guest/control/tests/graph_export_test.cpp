// Graphs as text: JSON that is JSON, and a drawing for Graphviz.
#include <gtest/gtest.h>

#include <regex>

#include "graph_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class GraphExportTest : public GraphCommandTest {
 protected:
  /// What the shell prints.
  std::string shown(std::string_view graph, std::string_view format = "json") {
    done("graph export", {graph, format});
    return text;
  }
};

TEST_F(GraphExportTest, json_is_what_the_reply_says) {
  make_pipeline("g", "count=3");
  const std::string text_of_json = shown("g");
  const json parsed = json::parse(text_of_json, nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << text_of_json;
  EXPECT_EQ(parsed, structure("g"));
  EXPECT_EQ(std::count(text_of_json.begin(), text_of_json.end(), '\n'), 1) << "one line";
  EXPECT_EQ(done("graph export", {"g"})["format"], "json");
  EXPECT_EQ(refusal("graph export", {"g", "yaml"}), "bad-argument [format]: format: found 'yaml', allowed: json|dot");
}

TEST_F(GraphExportTest, an_empty_graph) {
  done("graph create", {"g"});
  EXPECT_EQ(json::parse(shown("g")), structure("g"));
  EXPECT_EQ(shown("g", "dot"), "digraph \"g\" {\n  rankdir=LR;\n  node [shape=box];\n}\n");
}

TEST_F(GraphExportTest, numbers_below_0_and_texts_that_need_escapes) {
  done("graph create", {"g"});
  const auto add = [this](std::string_view id, std::string_view parameters) {
    done("graph add-operator", {"g", id, std::string("o") + std::string(id), "src", "--parameters", parameters});
  };
  add("1", "offset=-1000");
  add("2", "offset=-1,label=say \"a\\\\b\"");
  add("3", "label=\t\x01\x1f");
  // Valid UTF-8 that a terminal would act on: DEL, and CSI as one character, U+009B; and what it would only show.
  add("4", "label=\x7f\xc2\x9b[2J");
  add("5", "label=\xc2\xa0\xc3\xa4\xe2\x82\xac");
  const std::string printed = shown("g");
  const json parsed = json::parse(printed, nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << printed;
  EXPECT_EQ(parsed, structure("g"));
  const json& operators = parsed["operators"];
  EXPECT_EQ(operators[0]["parameters"], (json{{"offset", -1000}}));
  EXPECT_EQ(operators[1]["parameters"], (json{{"offset", -1}, {"label", "say \"a\\b\""}}));
  EXPECT_EQ(operators[2]["parameters"]["label"], "\t\x01\x1f");
  EXPECT_EQ(operators[3]["parameters"]["label"], "\x7f\xc2\x9b[2J");
  EXPECT_THAT(printed, HasSubstr("\"label\": \"\\u007f\\u009b[2J\""));
  EXPECT_THAT(printed, HasSubstr("\"label\": \"\xc2\xa0\xc3\xa4\xe2\x82\xac\""));
  EXPECT_EQ(printed.find_first_of("\x01\x1f\x7f"), std::string::npos);
}

TEST_F(GraphExportTest, schemas_that_a_graph_uses_are_part_of_it) {
  done("graph schema", {"used.by-channel"});
  done("graph schema", {"used.by-operator"});
  done("graph schema", {"unused"});
  done("graph create", {"g"});
  done("graph add-channel", {"g", "1", "1", "block", "used.by-channel"});
  done("graph add-operator", {"g", "1", "a", "src", "", "", "--out_schema", "used.by-operator"});
  done("graph add-operator", {"g", "2", "b", "src", "", "", "--out_schema", "text"});
  const json schemas = structure("g")["schemas"];
  ASSERT_EQ(schemas.size(), 2U) << schemas;
  EXPECT_EQ(schemas[0]["name"], "used.by-channel");
  EXPECT_EQ(schemas[1]["name"], "used.by-operator");
  EXPECT_EQ(schemas[1]["id"].get<unsigned>(), schemas[0]["id"].get<unsigned>() + 1);
}

TEST_F(GraphExportTest, dot_draws_operators_channels_and_loose_ends) {
  done("graph create", {"g"});
  done("graph add-channel", {"g", "1", "2"});
  done("graph add-channel", {"g", "2", "3", "drop-oldest"});
  done("graph add-channel", {"g", "3", "4", "drop-newest"});
  done("graph add-channel", {"g", "4", "5"});
  done("graph add-operator", {"g", "7", "in", "src", "", "1", "--stage", "clean"});
  done("graph add-operator", {"g", "8", "mid", "pass", "1,2", "3"});
  EXPECT_EQ(shown("g", "dot"),
            "digraph \"g\" {\n"
            "  rankdir=LR;\n"
            "  node [shape=box];\n"
            "  op7 [label=\"in\\nsrc, clean\"];\n"
            "  op8 [label=\"mid\\npass, acquire\"];\n"
            "  op7 -> op8 [label=\"1: block 2\"];\n"
            "  from2 [shape=point];\n"
            "  from2 -> op8 [label=\"2: drop-oldest 3\"];\n"
            "  to3 [shape=point];\n"
            "  op8 -> to3 [label=\"3: drop-newest 4\"];\n"
            "  from4 [shape=point];\n"
            "  to4 [shape=point];\n"
            "  from4 -> to4 [label=\"4: block 5\"];\n"
            "}\n");
}

/// Made from its export by the same requests, a graph exports the same.
TEST_F(GraphExportTest, a_graph_made_again_is_the_same) {
  make_pipeline("g", "offset=-3,mode=slow");
  const json first = structure("g");
  done("graph destroy", {"g"});
  done("graph create", {"g", first["memory"].dump(), first["tensors"].dump()});
  for (const json& channel : first["channels"]) {
    done("graph add-channel",
         {"g", channel["id"].dump(), channel["capacity"].dump(), channel["policy"].get_ref<const std::string&>()});
  }
  const auto list = [](const json& ids) {
    const std::string dumped = ids.dump();
    return dumped.substr(1, dumped.size() - 2);
  };
  for (const json& each : first["operators"]) {
    std::string parameters;
    for (const auto& [name, value] : each["parameters"].items()) {
      parameters +=
          (parameters.empty() ? "" : ",") + name + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
    }
    done("graph add-operator", {"g", each["id"].dump(), each["name"].get_ref<const std::string&>(),
                                each["kind"].get_ref<const std::string&>(), list(each["inputs"]), list(each["outputs"]),
                                "--parameters", parameters});
  }
  EXPECT_EQ(structure("g"), first);
}

/// The largest graph's answers fit the memory that commands have for them, and no output is cut.
TEST_F(GraphExportTest, the_largest_graph_is_shown_whole) {
  const std::string graph(graph::kMaxGraphName, 'g');
  done("graph create", {graph, "8388608"});
  for (std::size_t i = 0; i < graph::kMaxChannels; ++i) {
    done("graph add-channel", {graph, std::to_string(60'000 + i), "65535", "drop-newest", "tokens"});
  }
  for (std::size_t i = 0; i < graph::kMaxOperators; ++i) {
    std::string outputs = std::to_string(60'000 + 2 * i) + "," + std::to_string(60'001 + 2 * i);
    std::string name = std::to_string(i);
    name.insert(0, graph::kMaxName - name.size(), 'n');
    done("graph add-operator", {graph, std::to_string(4'294'967'000 + i), name, "src", "", outputs, "255", "acquire",
                                "1000000000000", "7", "tokens", "tokens",
                                "count=1000000,fails=1000000,period_us=1000000,asleep=1,offset=-1000,mode=slow,label="
                                "0123456789012345678901234567890123456789"});
  }
  EXPECT_EQ(json::parse(shown(graph))["operators"].size(), graph::kMaxOperators);
  EXPECT_THAT(shown(graph, "dot"), HasSubstr("60127: drop-newest 65535"));
  EXPECT_EQ(done("graph show", {graph})["channels"].size(), graph::kMaxChannels);
  EXPECT_EQ(done("graph stats", {graph})["operators"].size(), graph::kMaxOperators);
}

}  // namespace
}  // namespace guest::control::testing
