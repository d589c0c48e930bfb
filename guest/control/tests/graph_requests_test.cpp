// Graphs through the control server and through the shell: names of two words, and waits that somebody ends.
#include <gtest/gtest.h>

#include "graph_fixture.hpp"
#include "guest/shell/shell.hpp"
#include "test_client.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(FindCommand, names_are_of_one_word_or_two) {
  const auto find = [](std::vector<std::string_view> words) {
    const auto found = find_command(words);
    return found ? std::string(found->command->name) + " " + std::to_string(found->words) : std::string("none");
  };
  EXPECT_EQ(find({"graph", "show"}), "graph show 2");
  EXPECT_EQ(find({"graph", "show", "g"}), "graph show 2");
  EXPECT_EQ(find({"det"}), "det 1");
  EXPECT_EQ(find({"det", "admit", "a"}), "det 1");
  EXPECT_EQ(find({"graph"}), "none");
  EXPECT_EQ(find({"graph", "sho"}), "none");
  EXPECT_EQ(find({"graph", "showx"}), "none");
  EXPECT_EQ(find({"graph show"}), "graph show 1");  // in quotes, or the op of a request
  EXPECT_EQ(find({"graph", ""}), "none");
  EXPECT_EQ(find({"", "show"}), "none");
  EXPECT_EQ(find({"grap", "hshow"}), "none");
  ASSERT_NE(find_command("graph add-operator"), nullptr);
  EXPECT_EQ(find_command("graph"), nullptr);
}

class GraphRequestTest : public GraphCommandTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(client.connect(server));
    client.hello();
  }
  void TearDown() override {
    client.stream.disconnect();
    threads::run_until_idle();
    machine.advance_ns(kHelloTimeoutNs + kCloseTimeoutNs);
    EXPECT_EQ(machine.counter("control_requests"), machine.counter("control_replies_ok") +
                                                       machine.counter("control_replies_error") +
                                                       machine.counter("control_unanswered"));
  }
  json result(std::uint32_t id, const std::string& op, const json& args) {
    const Answer reply = client.ask(call(id, op, args));
    EXPECT_EQ(reply.command, Wire::Reply) << reply.body;
    return reply.body.value("result", json());
  }

  Server server{machine.services, machine.work};
  TestClient client;
};

TEST_F(GraphRequestTest, ops_of_two_words_take_typed_arguments) {
  EXPECT_EQ(result(2, "graph create", {{"graph", "g"}, {"memory", 65536}, {"tensors", 9}})["graph"], "g");
  EXPECT_EQ(result(3, "graph add-channel", {{"graph", "g"}, {"id", 1}, {"capacity", 2}})["channels"], 1);
  result(4, "graph add-operator", {{"graph", "g"}, {"id", 1}, {"name", "a"}, {"kind", "src"}, {"outputs", "1"}});
  const json shown = result(5, "graph export", {{"graph", "g"}});
  EXPECT_EQ(shown["structure"], structure("g"));
  const Answer wrong = client.ask(call(6, "graph add-channel", {{"graph", "g"}, {"id", "2"}, {"capacity", 2}}));
  EXPECT_EQ(wrong.code(), "bad-argument");
  EXPECT_EQ(wrong.field(), "id");
  const Answer unknown = client.ask(call(7, "graph"));
  EXPECT_EQ(unknown.code(), "unknown-op");
  const Answer missing = client.ask(call(8, "graph show", {{"graph", "h"}}));
  EXPECT_EQ(missing.code(), "graph-unknown");
  EXPECT_EQ(missing.field(), "graph");
  EXPECT_EQ(machine.counter("control_error_graph"), 1U);
}

TEST_F(GraphRequestTest, each_command_needs_its_right) {
  make_pipeline("g");
  const auto code_with = [&](Rights rights, const std::string& op) {
    client.hello(rights);
    return client.ask(call(9, op, {{"graph", "g"}})).code();
  };
  for (const std::string op : {"graph destroy", "graph add-channel", "graph add-operator", "graph create"}) {
    EXPECT_EQ(code_with(Rights::Submit, op), "forbidden") << op;
  }
  for (const std::string op : {"graph start", "graph stop", "graph drain", "graph pause", "graph resume"}) {
    EXPECT_EQ(code_with(Rights::Observe, op), "forbidden") << op;
  }
  EXPECT_EQ(code_with(Rights::Submit, "graph stop"), "graph-not-running");
  EXPECT_EQ(code_with(Rights::Observe, "graph wait"), "");
}

TEST_F(GraphRequestTest, wait_is_answered_when_the_run_ends) {
  make_pipeline("g", "period_us=1000");
  in_thread([&] {
    result(2, "graph start", {{"graph", "g"}, {"steps", 3}});
    client.send(call(3, "graph wait", {{"graph", "g"}}));
    EXPECT_TRUE(client.answers().empty());
    EXPECT_EQ(result(4, "graph show", {{"graph", "g"}})["state"], "running");
  });
  const Answer answer = client.answer();
  EXPECT_EQ(answer.id, 3U);
  EXPECT_EQ(answer.body["result"]["end"], "finished");
  // Idle: at once.
  EXPECT_EQ(result(5, "graph wait", {{"graph", "g"}})["runs"], 1);
}

TEST_F(GraphRequestTest, wait_is_cancelled_by_its_client) {
  make_pipeline("g", "asleep=1");
  in_thread([&] {
    result(2, "graph start", {{"graph", "g"}});
    client.send(call(3, "graph wait", {{"graph", "g"}}));
    client.send(request(Wire::Cancel, 4, {{"id", 3}}));
    const auto answers = client.answers();
    ASSERT_EQ(answers.size(), 2U);
    EXPECT_EQ(answers[0].id, 3U);
    EXPECT_EQ(answers[0].code(), "cancelled");
    EXPECT_EQ(answers[1].command, Wire::Reply);
    EXPECT_EQ(result(5, "graph show", {{"graph", "g"}})["state"], "running");
    result(6, "graph stop", {{"graph", "g"}});
  });
  EXPECT_TRUE(client.answers().empty());
}

TEST_F(GraphRequestTest, a_connection_that_closes_ends_its_wait_and_not_the_run) {
  make_pipeline("g", "asleep=1");
  TestClient other;
  ASSERT_TRUE(other.connect(server));
  other.hello();
  in_thread([&] {
    result(2, "graph start", {{"graph", "g"}});
    other.send(call(3, "graph wait", {{"graph", "g"}}));
    EXPECT_EQ(machine.counter("control_unanswered"), 0U);
    other.stream.disconnect();
    EXPECT_EQ(machine.counter("control_unanswered"), 1U);
    EXPECT_EQ(result(4, "graph show", {{"graph", "g"}})["state"], "running");
    result(5, "graph stop", {{"graph", "g"}});
  });
  EXPECT_EQ(result(6, "graph wait", {{"graph", "g"}})["end"], "stopped");
}

TEST_F(GraphRequestTest, help_says_of_which_type_each_argument_is) {
  const auto type_of = [&](const std::string& command, const std::string& argument) {
    for (const json& each : result(2, "help", {{"command", command}})["arguments"]) {
      if (each["name"] == argument) {
        return each["type"].get<std::string>() + (each["required"] == true ? " required" : "");
      }
    }
    return std::string("none");
  };
  EXPECT_EQ(type_of("graph add-channel", "graph"), "text required");
  EXPECT_EQ(type_of("graph add-channel", "capacity"), "integer required");
  EXPECT_EQ(type_of("graph add-channel", "policy"), "choice");
  EXPECT_EQ(type_of("det", "reclaim"), "bool");
  EXPECT_EQ(type_of("ping", "payload"), "text-or-bytes");
  EXPECT_EQ(type_of("echo", "text"), "words");
  const Answer none = client.ask(call(3, "help", {{"command", "graph"}}));
  EXPECT_EQ(none.code(), "not-found");
  EXPECT_EQ(none.message(), "no command 'graph'; 'help' lists them");
}

class GraphShellTest : public GraphCommandTest {
 protected:
  GraphShellTest() {
    machine.services.shell = &shell;
    machine.services.caller.rights = Rights::All;
  }
  /// What a line prints, as `sisctl shell` has it run.
  std::string line(const std::string& text_of_line) {
    LaterCaller caller;
    in_thread([&] {
      if (const json now = run_for(caller, "shell", {text_of_line}); !now.is_null()) {
        caller.answer = now;
      }
    });
    status = caller.answer.value("status", -1);
    return caller.answer.value("output", caller.answer.dump());
  }

  shell::Shell shell{machine.services, nullptr, nullptr};
  int status = -1;
};

TEST_F(GraphShellTest, lines_with_names_of_two_words) {
  EXPECT_EQ(line("graph create g --tensors 8"), "graph: g\nchannels: 0\noperators: 0\n");
  EXPECT_EQ(line("graph add-channel g 1 2; graph add-channel g 1 2"),
            "graph: g\nchannels: 1\noperators: 0\ngraph add-channel: there is a channel 1 already\n");
  EXPECT_EQ(status, 1);
  EXPECT_EQ(line("graph"), "graph: no such command; 'help' lists them\n");
  EXPECT_EQ(line("graph frob g"), "graph: no such command; 'help' lists them\n");
  EXPECT_THAT(line("graph show g"), StartsWith("graph: g\nstate: idle\nend: none\nruns: 0\n"));
  EXPECT_EQ(status, 0);
  EXPECT_THAT(line("help graph show"), StartsWith("usage: graph show GRAPH\nhelp: a graph: its state"));
  EXPECT_THAT(line("help graph add-channel"), HasSubstr("name=capacity  type=integer  required=yes  help=tensors\n"));
  EXPECT_THAT(line("help"),
              HasSubstr("\ngraph add-channel GRAPH ID CAPACITY [block|drop-oldest|drop-newest] [SCHEMA] "));
  EXPECT_EQ(line("help graph"), "help: no command 'graph'; 'help' lists them\n");
}

/// Regression test: the line went on inside of the run's end, and destroyed what was not through with it.
TEST_F(GraphShellTest, a_line_goes_on_when_the_run_is_over) {
  make_pipeline("g");
  EXPECT_THAT(line("graph start g 3; graph wait g; graph start g 4; graph wait g; graph destroy g; graph list"),
              HasSubstr("end: finished\nruns: 2\n"));
  EXPECT_EQ(status, 0);
  EXPECT_EQ(graph::graph_set().size(), 0U);
}

TEST_F(GraphShellTest, exports_are_printed_as_they_are) {
  make_pipeline("g");
  EXPECT_EQ(json::parse(line("graph export g"))["name"], "g");
  EXPECT_THAT(line("graph export g dot"), StartsWith("digraph \"g\" {\n"));
}

}  // namespace
}  // namespace guest::control::testing
