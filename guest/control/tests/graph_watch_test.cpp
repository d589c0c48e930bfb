// watch channel and graph feed: from the client into a graph and back.
#include <gtest/gtest.h>

#include <algorithm>

#include "graph_fixture.hpp"
#include "guest/graph/operators/builtin.hpp"
#include "guest/shell/shell.hpp"
#include "test_client.hpp"

namespace guest::control::testing {
namespace {

using Bytes8 = std::vector<std::uint8_t>;

class GraphWatchTest : public GraphCommandTest {
 protected:
  void SetUp() override {
    static const bool added = [] {
      graph::graph_set().kinds().add(graph::builtin_kinds());
      return true;
    }();
    EXPECT_TRUE(added);
    ASSERT_TRUE(client.connect(server));
    client.hello();
  }
  void TearDown() override {
    client.stream.disconnect();
    for (std::size_t i = 0; i < graph::graph_set().size(); ++i) {
      in_thread([&] { (void)graph::graph_set().at(i).runner->stop(); });
    }
    settle();
    machine.advance_ns(kHelloTimeoutNs + kCloseTimeoutNs);
    EXPECT_EQ(machine.counter("control_requests"), machine.counter("control_replies_ok") +
                                                       machine.counter("control_replies_error") +
                                                       machine.counter("control_unanswered"));
  }
  /// control-source -> 1 -> control-sink
  void make_loop(std::string_view graph, std::string_view keep = "keep=4") {
    done("graph create", {graph});
    done("graph add-channel", {graph, "1", "4"});
    done("graph add-operator", {graph, "1", "in", "control-source", "", "1", "--parameters", "max_bytes=61440"});
    done("graph add-operator", {graph, "2", "out", "control-sink", "1", "--parameters", keep});
  }
  /// What the graph's threads and the loop have to do is done.
  void settle() {
    threads::run_until_idle();
    machine.run();
  }
  json feed(const std::string& text) {
    json fed;
    in_thread([&] { fed = done("graph feed", {"g", "in", text}); });
    settle();
    return fed;
  }
  void start(std::string_view graph = "g") {
    in_thread([&] { done("graph start", {graph}); });
  }
  /// "data" of each tensor that has come; "(n)" before it: so many were lost. Figures are left out.
  std::vector<std::string> tensors() {
    std::vector<std::string> found;
    for (const Answer& event : client.answers()) {
      if (event.command != Wire::Event) {
        found.push_back(event.body.dump());
      } else if (event.body["kind"] == "tensor") {
        const Bytes8 data = event.body["data"].get_binary();
        found.push_back((event.body.contains("lost") ? "(" + event.body["lost"].dump() + ")" : "") +
                        std::string(data.begin(), data.end()));
      }
    }
    return found;
  }
  using Tensors = std::vector<std::string>;

  Server server{machine.services, machine.work};
  TestClient client;
};

TEST_F(GraphWatchTest, what_is_fed_comes_back_as_it_arrives) {
  make_loop("g");
  start();
  client.send(call(5, "watch channel", {{"graph", "g"}, {"channel", 1}, {"interval_ms", 0}}));
  machine.run();
  EXPECT_EQ(feed("abc"), json({{"queued", 1}, {"capacity", 8}, {"ended", false}, {"refused", 0}}));
  const Answer event = client.answer();
  EXPECT_EQ(event.command, Wire::Event);
  EXPECT_EQ(event.id, 5U);
  json body = event.body;
  EXPECT_GT(body["timestamp_ns"], 0);
  body.erase("timestamp_ns");
  EXPECT_EQ(body, json({{"kind", "tensor"},
                        {"index", 0},
                        {"dtype", "u8"},
                        {"shape", {3}},
                        {"schema", 0},
                        {"sequence", 0},
                        {"origin", 1},
                        {"bytes", 3},
                        {"data", json::binary({'a', 'b', 'c'})}}));
  feed("d");
  feed("");
  EXPECT_EQ(tensors(), (Tensors{"d", ""}));
  EXPECT_EQ(graph::graph_set().find("g")->graph->arena().statistics().live, 0U);
}

TEST_F(GraphWatchTest, figures_come_at_the_interval_and_need_no_sink) {
  make_pipeline("g");
  client.send(call(5, "watch channel", {{"graph", "g"}, {"channel", 1}, {"count", 2}, {"interval_ms", 50}}));
  machine.run();
  EXPECT_EQ(client.answer().body, json({{"kind", "figures"},
                                        {"time_ns", machine.timer.now},
                                        {"depth", 0},
                                        {"high_water", 0},
                                        {"sent", 0},
                                        {"received", 0},
                                        {"stalls", 0},
                                        {"dropped_oldest", 0},
                                        {"dropped_newest", 0}}));
  in_thread([&] { done("graph start", {"g", "5"}); });
  machine.advance_ns(50'000'000);
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].body["sent"], 5);
  EXPECT_EQ(answers[0].body["received"], 5);
  EXPECT_EQ(answers[1].body["result"], json({{"events", 2}, {"lost", 0}, {"end", "count"}}));
}

TEST_F(GraphWatchTest, what_was_kept_before_comes_first_and_what_was_lost_is_told) {
  make_loop("g", "keep=2");
  start();
  for (const char* const text : {"a", "b", "c", "d", "e"}) {
    feed(text);
  }
  client.send(call(5, "watch channel", {{"graph", "g"}, {"channel", 1}, {"interval_ms", 0}, {"count", 2}}));
  machine.run();
  EXPECT_EQ(tensors(), (Tensors{"(3)d", "e", R"({"result":{"end":"count","events":2,"lost":3},"status":"ok"})"}));
}

TEST_F(GraphWatchTest, who_does_not_read_loses_the_oldest_and_blocks_nobody) {
  make_loop("g", "keep=2");
  start();
  client.send(call(5, "watch channel", {{"graph", "g"}, {"channel", 1}, {"interval_ms", 0}}));
  machine.run();
  client.stream.set_room(0);
  for (char each = 'a'; each < 'k'; ++each) {
    feed(std::string(30'000, each));
  }
  client.stream.grant(10'000'000);
  machine.run();
  const Tensors found = tensors();
  // Three take the output's room for events, two are kept.
  ASSERT_EQ(found.size(), 5U);
  EXPECT_EQ(found[2].front(), 'c');
  EXPECT_EQ(found[3].substr(0, 4), "(5)i");
  EXPECT_EQ(found[4].front(), 'j');
}

TEST_F(GraphWatchTest, long_data_is_cut) {
  make_loop("g");
  start();
  client.send(call(5, "watch channel", {{"graph", "g"}, {"channel", 1}, {"interval_ms", 0}}));
  std::vector<std::uint8_t> data(61'440, 7);
  in_thread(
      [&] { client.send(call(6, "graph feed", {{"graph", "g"}, {"operator", "in"}, {"data", json::binary(data)}})); });
  settle();
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[1].body["bytes"], 61'440);
  EXPECT_EQ(answers[1].body["data"].get_binary().size(), 49'152U);
}

TEST_F(GraphWatchTest, a_sink_has_one_watcher_at_a_time) {
  make_loop("g");
  const json args = {{"graph", "g"}, {"channel", 1}};
  client.send(call(5, "watch channel", args));
  const Answer second = client.ask(call(6, "watch channel", args));
  EXPECT_EQ(second.code(), "busy");
  EXPECT_EQ(second.message(), "channel 1 of graph 'g' is watched already: each tensor goes to one");
  client.send(request(Wire::Cancel, 7, {{"id", 5}}));
  client.answers();
  client.send(call(6, "watch channel", args));
  machine.run();
  EXPECT_EQ(client.answer().body["kind"], "figures");
}

TEST_F(GraphWatchTest, it_ends_with_the_graph) {
  make_loop("g");
  start();
  feed("kept");
  in_thread([&] { done("graph stop", {"g"}); });
  client.send(call(5, "watch channel", {{"graph", "g"}, {"channel", 1}, {"interval_ms", 10}}));
  client.send(call(6, "graph destroy", {{"graph", "g"}}));  // before the first turn
  machine.advance_ns(100'000'000);
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].id, 6U);
  EXPECT_EQ(answers[1].body["result"], json({{"events", 0}, {"lost", 0}, {"end", "gone"}}));
}

TEST_F(GraphWatchTest, cancelled_while_tensors_come_it_lets_go_of_the_sink) {
  make_loop("g");
  start();
  client.send(call(5, "watch channel", {{"graph", "g"}, {"channel", 1}, {"interval_ms", 0}}));
  machine.run();
  in_thread([&] { done("graph feed", {"g", "in", "a"}); });
  threads::run_until_idle();
  client.send(request(Wire::Cancel, 6, {{"id", 5}}));
  settle();
  EXPECT_EQ(client.answers().size(), 2U);
  in_thread([&] { done("graph stop", {"g"}); });
  done("graph destroy", {"g"});
}

TEST_F(GraphWatchTest, what_cannot_be_watched_is_refused_by_name) {
  make_pipeline("g");
  EXPECT_EQ(refusal("watch channel", {"h", "1"}),
            "graph-unknown [graph]: there is no graph 'h'; 'graph list' lists them");
  EXPECT_EQ(refusal("watch channel", {"g", "7"}), "graph-unknown-channel [channel]: graph 'g' has no channel 7");
  EXPECT_EQ(refusal("watch channel", {"g", "1", "0"}),
            "bad-argument [interval_ms]: interval_ms: found 0, allowed: 1 and more, as channel 1 does not end in a "
            "control-sink");
}

TEST_F(GraphWatchTest, feed_is_refused_as_the_source_does) {
  make_loop("g");
  const auto feed_words = [](std::vector<std::string_view> words) {
    words.insert(words.begin(), "g");
    return words;
  };
  EXPECT_EQ(refusal("graph feed", feed_words({"x", "a"})),
            "graph-unknown-operator [operator]: graph 'g' has no operator 'x'");
  EXPECT_EQ(refusal("graph feed", feed_words({"out", "a"})),
            "bad-argument [operator]: operator 'out' is of kind control-sink, allowed: one of kind control-source");
  EXPECT_EQ(refusal("graph feed", feed_words({"in"})),
            "missing-argument [data]: data is missing: give data, hex, or end");
  EXPECT_EQ(refusal("graph feed", feed_words({"in", "a", "--hex", "00"})),
            "bad-argument [hex]: hex: found with data, allowed: one of them");
  EXPECT_EQ(refusal("graph feed", feed_words({"in", "--hex", "0g"})),
            "bad-argument [hex]: hex: found '0g', allowed: two digits of 0-9 a-f for each byte");
  EXPECT_EQ(refusal("graph feed", feed_words({"in", "--hex", "123"})),
            "bad-argument [hex]: hex: found 3 digits, allowed: two for each byte");
  for (int i = 0; i < 8; ++i) {
    done("graph feed", {"g", "in", "--hex", "00fFa0"});
  }
  EXPECT_EQ(refusal("graph feed", feed_words({"in", "a"})), "graph-feed-full: 8 tensors wait already");
  EXPECT_EQ(done("graph feed", {"g", "in", "--end"}),
            json({{"queued", 8}, {"capacity", 8}, {"ended", true}, {"refused", 1}}));
  EXPECT_EQ(refusal("graph feed", feed_words({"in", "a"})), "graph-feed-ended: the end has been said already");

  done("graph create", {"w"});
  done("graph add-channel", {"w", "1", "4"});
  done("graph add-operator", {"w", "1", "in", "control-source", "", "1", "--parameters", "max_bytes=8,dtype=u32"});
  EXPECT_EQ(refusal("graph feed", {"w", "in", "12345"}),
            "graph-feed-bad-size: 5 bytes: expected at most 8, in elements of u32");
}

TEST_F(GraphWatchTest, fed_before_the_run_and_ended_the_run_finishes) {
  make_loop("g");
  done("graph feed", {"g", "in", "--hex", "00fFa0"});
  done("graph feed", {"g", "in", "last", "--end", "yes"});
  client.send(call(5, "watch channel", {{"graph", "g"}, {"channel", 1}, {"interval_ms", 0}}));
  start();
  settle();
  EXPECT_EQ(tensors(), (Tensors{std::string("\0\xff\xa0", 3), "last"}));
  const json shown = done("graph show", {"g"});
  EXPECT_EQ(shown["state"], "idle");
  EXPECT_EQ(shown["end"], "finished");
}

TEST_F(GraphWatchTest, on_the_console_each_tensor_is_a_line) {
  TextCapture console;
  shell::Shell the_shell(machine.services, &console, nullptr);
  machine.services.shell = &the_shell;
  make_loop("g");
  start();
  client.send(call(5, "shell", {{"line", "watch channel g 1 --interval_ms 0 --count 2"}}));
  machine.run();
  feed("\x01\x02");
  feed(std::string(40, 'x'));
  std::string xs;
  for (int i = 0; i < 32; ++i) {
    xs += "78";
  }
  EXPECT_EQ(client.answer().body["result"]["output"],
            "0: u8[2]  0102\n1: u8[40]  " + xs + "...\nevents: 2\nlost: 0\nend: count\n");
}

TEST_F(GraphWatchTest, work_of_a_call_that_waited_is_not_done_when_its_connection_goes) {
  TextCapture console;
  shell::Shell the_shell(machine.services, &console, nullptr);
  machine.services.shell = &the_shell;
  client.send(call(5, "shell", {{"line", "graph create first; sleep 10; graph create second"}}));
  client.stream.disconnect();
  machine.advance_ns(100'000'000);
  EXPECT_NE(graph::graph_set().find("first"), nullptr);
  EXPECT_EQ(graph::graph_set().find("second"), nullptr);
}

}  // namespace
}  // namespace guest::control::testing
