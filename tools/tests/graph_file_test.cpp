// Graphs in files: the requests that they stand for, and what is wrong with those that stand for none.
#include "tools/graph_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace sisctl {
namespace {

using nlohmann::json;

std::string usage(const std::string& text) {
  const auto made = parse_graph(text);
  if (made) return "not refused";
  EXPECT_EQ(made.error().exit_code, ExitCode::Usage);
  EXPECT_EQ(made.error().kind, "usage");
  return made.error().message;
}

/// A list of one operation and its arguments each.
json requests(const std::string& text) {
  const auto made = parse_graph(text);
  if (!made) return made.error().message;
  json list = json::array();
  for (const Request& request : made->requests) list.push_back(json::array({request.op, request.args}));
  return list;
}

TEST(GraphFile, a_graph_becomes_requests_in_their_order) {
  EXPECT_EQ(requests(R"({
    "operators": [
      {"id": 1, "name": "in", "kind": "src", "priority": 3, "stage": "acquire", "wcet_ns": 5, "cpu": 1,
       "inputs": [], "outputs": [1, 2], "out_schema": "image", "parameters": {"count": 3, "low": -7, "mode": "x=y"}},
      {"id": 2, "name": "out", "kind": "sink", "inputs": [1], "in_schema": "image", "parameters": {}}],
    "channels": [{"id": 1, "capacity": 4, "policy": "block", "schema": "image"}, {"id": 2, "capacity": 1}],
    "schemas": [{"name": "image", "id": 2000}, {"name": "other"}],
    "server": {"budget_us": 10, "period_us": 100, "deadline_us": 50, "reservation": "soft"},
    "name": "g", "memory": 65536, "tensors": 8})"),
            json::array({
                json::array({"graph schema", {{"name", "image"}, {"id", 2000}}}),
                json::array({"graph schema", {{"name", "other"}}}),
                json::array({"graph create",
                             {{"graph", "g"},
                              {"memory", 65536},
                              {"tensors", 8},
                              {"budget_us", 10},
                              {"period_us", 100},
                              {"deadline_us", 50},
                              {"reservation", "soft"}}}),
                json::array({"graph add-channel",
                             {{"graph", "g"}, {"id", 1}, {"capacity", 4}, {"policy", "block"}, {"schema", "image"}}}),
                json::array({"graph add-channel", {{"graph", "g"}, {"id", 2}, {"capacity", 1}}}),
                json::array({"graph add-operator",
                             {{"graph", "g"},
                              {"id", 1},
                              {"name", "in"},
                              {"kind", "src"},
                              {"priority", 3},
                              {"stage", "acquire"},
                              {"wcet_ns", 5},
                              {"cpu", 1},
                              {"inputs", ""},
                              {"outputs", "1,2"},
                              {"out_schema", "image"},
                              {"parameters", "count=3,low=-7,mode=x=y"}}}),
                json::array({"graph add-operator",
                             {{"graph", "g"},
                              {"id", 2},
                              {"name", "out"},
                              {"kind", "sink"},
                              {"inputs", "1"},
                              {"in_schema", "image"},
                              {"parameters", ""}}}),
            }));
  EXPECT_EQ(parse_graph(R"({"name": "g"})")->graph, "g");
  EXPECT_EQ(requests(R"({"name": "g"})"), json::array({json::array({"graph create", {{"graph", "g"}}})}));
}

TEST(GraphFile, what_is_no_object_is_refused) {
  for (const char* const text :
       {"", "{", "{\"name\": }", "{\"name\": \"\xff\"}", "{} {}", "nothing", "{\"name\": \"g\",}"}) {
    EXPECT_EQ(usage(text), "not JSON") << text;
  }
  for (const char* const text : {"[]", "7", "null", "\"g\"", "true", "[{\"name\": \"g\"}]"}) {
    EXPECT_EQ(usage(text), "expected an object, as 'sisctl graph export' writes it") << text;
  }
}

TEST(GraphFile, keys_are_known_given_once_and_complete) {
  EXPECT_EQ(usage("{}"), "graph: 'name' is missing");
  EXPECT_EQ(usage(R"({"name": "g", "size": 1})"), "graph: unknown key 'size'");
  EXPECT_EQ(usage(R"({"name": "g", "a\u001b": 1})"), "graph: unknown key 'a\\x1b'");
  EXPECT_EQ(usage(R"({"name": "g", "name": "h"})"), "key 'name' is given twice");
  EXPECT_EQ(usage(R"({"name": "g", "channels": [{"id": 1, "capacity": 1, "id": 2}]})"), "key 'id' is given twice");
  EXPECT_EQ(usage(R"({"name": "g", "server": {}})"), "server: 'budget_us' is missing");
  EXPECT_EQ(usage(R"({"name": "g", "server": {"budget_us": 1}})"), "server: 'period_us' is missing");
  EXPECT_EQ(usage(R"({"name": "g", "server": {"budget_us": 1, "period_us": 2, "cpu": 1}})"),
            "server: unknown key 'cpu'");
  EXPECT_EQ(usage(R"({"name": "g", "schemas": [{"id": 5}]})"), "schemas[0]: 'name' is missing");
  EXPECT_EQ(usage(R"({"name": "g", "channels": [{"id": 1, "capacity": 1}, {"id": 2}]})"),
            "channels[1]: 'capacity' is missing");
  EXPECT_EQ(usage(R"({"name": "g", "channels": [{"capacity": 1}]})"), "channels[0]: 'id' is missing");
  EXPECT_EQ(usage(R"({"name": "g", "channels": [{"id": 1, "capacity": 1, "depth": 0}]})"),
            "channels[0]: unknown key 'depth'");
  EXPECT_EQ(usage(R"({"name": "g", "operators": [{"id": 1, "name": "a"}]})"), "operators[0]: 'kind' is missing");
  EXPECT_EQ(usage(R"({"name": "g", "operators": [{"id": 1, "kind": "a"}]})"), "operators[0]: 'name' is missing");
  EXPECT_EQ(usage(R"({"name": "g", "operators": [{"name": "b", "kind": "a"}]})"), "operators[0]: 'id' is missing");
}

TEST(GraphFile, values_have_their_types) {
  const auto with = [](const std::string& entry) { return usage(R"({"name": "g", )" + entry + "}"); };
  EXPECT_EQ(usage(R"({"name": 7})"), "graph.name: expected a text");
  for (const char* const bad : {"-1", "1.5", "\"1\"", "null", "true", "[]", "18446744073709551616"}) {
    EXPECT_EQ(with(std::string("\"memory\": ") + bad), "graph.memory: expected an integer of 0 or more") << bad;
  }
  for (const char* const list : {"channels", "operators", "schemas"}) {
    EXPECT_EQ(with("\"" + std::string(list) + "\": {}"), std::string(list) + ": expected an array");
    EXPECT_EQ(with("\"" + std::string(list) + "\": null"), std::string(list) + ": expected an array");
    EXPECT_EQ(with("\"" + std::string(list) + "\": [7]"), std::string(list) + "[0]: expected an object");
  }
  EXPECT_EQ(with(R"("server": [])"), "server: expected an object");
  EXPECT_EQ(with(R"("server": null)"), "server: expected an object");
  EXPECT_EQ(with(R"("server": {"budget_us": "1", "period_us": 2})"),
            "server.budget_us: expected an integer of 0 or more");
  EXPECT_EQ(with(R"("channels": [{"id": 1, "capacity": 1, "schema": 1001}])"), "channels[0].schema: expected a text");
  const auto with_operator = [&](const std::string& entry) {
    return with(R"("operators": [{"id": 1, "name": "a", "kind": "b", )" + entry + "}]");
  };
  for (const char* const bad : {"\"1,2\"", "1", "[\"1\"]", "[-1]", "[1.0]", "null", "{}"}) {
    EXPECT_EQ(with_operator(std::string("\"inputs\": ") + bad), "operators[0].inputs: expected an array of integers")
        << bad;
  }
  // What could not be told from other parameters in the request, and what is no value of one.
  for (const char* const bad : {"[]", "\"a=1\"", R"({"a": null})", R"({"a": 1.5})", R"({"a": true})", R"({"a": [1]})",
                                R"({"a\\b": 2})", R"({"a=1,b": 2})", R"({"a,b": 2})", R"({"": 2})"}) {
    EXPECT_EQ(with_operator(std::string("\"parameters\": ") + bad),
              "operators[0].parameters: expected an object of integers and texts, their names without '=' and ','")
        << bad;
  }
}

TEST(GraphFile, texts_of_parameters_are_escaped) {
  const json made = requests(
      R"({"name": "g", "operators": [{"id": 1, "name": "a", "kind": "b", "parameters": {"x": "1,b=\\2", "y": -3}}]})");
  EXPECT_EQ(made.back()[1]["parameters"], R"(x=1\,b=\\2,y=-3)");
}

/// Values are the guest's to check: here they only have to fit a request.
TEST(GraphFile, values_out_of_the_guests_ranges_are_passed_on) {
  EXPECT_EQ(requests(R"({"name": "", "memory": 18446744073709551615})"),
            json::array({json::array({"graph create", {{"graph", ""}, {"memory", 18446744073709551615U}}})}));
}

TEST(GraphFile, nesting_ends_where_no_graph_goes) {
  const std::string deep = std::string(50'000, '[') + std::string(50'000, ']');
  EXPECT_EQ(usage(deep), "nested more than 8 deep");
  EXPECT_EQ(usage(R"({"name": )" + deep + "}"), "nested more than 8 deep");
  EXPECT_EQ(usage(R"({"name": [[[[[[[]]]]]]]})"), "graph.name: expected a text");
}

class GraphFileOnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sis-graph-file-XXXXXX";
    const int fd = ::mkstemp(name);
    ASSERT_GE(fd, 0);
    ::close(fd);
    path = name;
  }
  void TearDown() override { std::filesystem::remove(path); }
  std::string read() const {
    const auto made = read_graph_file(path);
    return made ? "graph " + made->graph : made.error().message;
  }
  std::string path;
};

TEST_F(GraphFileOnDisk, is_read_up_to_a_mebibyte) {
  std::ofstream(path) << R"({"name": "g"})";
  EXPECT_EQ(read(), "graph g");
  std::filesystem::resize_file(path, 1 << 20);
  EXPECT_EQ(read(), path + ": not JSON");  // zeros behind it
  std::filesystem::resize_file(path, (1 << 20) + 1);
  EXPECT_EQ(read(), "cannot read " + path + ": it has more than the 1048576 bytes that are allowed");
}

TEST_F(GraphFileOnDisk, a_file_of_a_mebibyte_is_not_too_long) {
  std::string text = R"({"name": "g"})";
  text.append((1 << 20) - text.size(), ' ');
  std::ofstream(path) << text;
  EXPECT_EQ(read(), "graph g");
}

TEST_F(GraphFileOnDisk, its_name_comes_before_what_is_wrong) {
  std::ofstream(path) << "{}";
  EXPECT_EQ(read(), path + ": graph: 'name' is missing");
}

TEST(GraphFile, a_file_that_is_not_there_or_none) {
  EXPECT_EQ(read_graph_file("/nowhere/\x1bgraph").error().message,
            "cannot open /nowhere/\\x1bgraph: No such file or directory");
  EXPECT_EQ(read_graph_file("/tmp").error().message, "cannot read /tmp: it is not a regular file");
  EXPECT_EQ(read_graph_file("/tmp").error().exit_code, ExitCode::Usage);
}

}  // namespace
}  // namespace sisctl
