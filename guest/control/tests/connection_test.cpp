// Connections: limits, backpressure, ends, counters.
#include <gmock/gmock.h>

#include <memory>

#include "test_client.hpp"

namespace guest::control::testing {
namespace {

TEST_F(ServerTest, pipelined_requests_are_each_answered_once_and_in_order) {
  client.hello();
  Bytes all;
  for (std::uint32_t id = 10; id < 1010; ++id) {
    const Bytes one = call(id, "ping", {{"payload", std::to_string(id)}});
    all.insert(all.end(), one.begin(), one.end());
  }
  client.send(all);
  machine.run();
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 1000U);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(answers[i].id, 10 + i);
    EXPECT_EQ(answers[i].body["result"]["payload"], std::to_string(10 + i));
  }
  EXPECT_EQ(machine.counter("control_replies_ok"), 1001U);
}

TEST_F(ServerTest, one_turn_takes_a_bounded_number_of_requests) {
  client.hello();
  Bytes all;
  for (std::uint32_t id = 10; id < 210; ++id) {
    const Bytes one = call(id, "ping");
    all.insert(all.end(), one.begin(), one.end());
  }
  client.send(all);
  EXPECT_EQ(client.answers().size(), kRequestsPerTurn);
  TestClient other;
  ASSERT_TRUE(other.connect(server));
  other.hello();  // is served in between
  machine.run();
  EXPECT_EQ(client.answers().size(), 200 - kRequestsPerTurn);
  other.stream.disconnect();
}

TEST_F(ServerTest, peer_that_does_not_read_is_not_read_and_loses_nothing) {
  client.hello();
  client.stream.set_room(0);
  const std::string payload(1000, 'p');
  const std::size_t frame_bytes = call(100, "ping", {{"payload", payload}}).size();
  for (std::uint32_t id = 1000; id < 2000; ++id) {
    client.send(call(id, "ping", {{"payload", payload}}));
    machine.run();
  }
  EXPECT_TRUE(client.answers().empty());
  // What was taken is bounded by the output that it made, the rest is left to the stream's window.
  EXPECT_GT(client.stream.unread(), (1000 - kMaxPendingOutput / 1000 - 2) * frame_bytes);
  std::vector<Answer> answers;
  while (answers.size() < 1000) {
    client.stream.grant(777);
    machine.run();
    for (Answer& answer : client.answers()) {
      EXPECT_EQ(answer.id, 1000 + answers.size());
      answers.push_back(std::move(answer));
    }
  }
  EXPECT_EQ(client.stream.unread(), 0U);
}

TEST_F(ServerTest, replies_are_counted_when_they_were_sent) {
  client.hello();
  client.stream.set_room(0);
  client.send(call(2, "ping"));
  EXPECT_EQ(machine.counter("control_requests"), 2U);
  EXPECT_EQ(machine.counter("control_replies_ok"), 1U);
  client.stream.grant(10);
  EXPECT_EQ(machine.counter("control_replies_ok"), 1U);
  client.stream.grant(10'000);
  EXPECT_EQ(machine.counter("control_replies_ok"), 2U);
}

TEST_F(ServerTest, replies_that_were_not_sent_count_as_unanswered) {
  client.hello();
  client.stream.set_room(30);
  client.send(call(2, "ping"));
  client.send(call(3, "ping"));
  client.send(call(4, "sleep", {{"ms", 1000}}));
  client.stream.disconnect();
  EXPECT_EQ(machine.counter("control_unanswered"), 3U);
  EXPECT_EQ(machine.counter("control_replies_ok"), 1U);
}

TEST_F(ServerTest, counters_by_reason_add_up) {
  client.hello();
  client.ask(call(2, "nonsense"));
  client.ask(call(3, "ping", {{"x", 1}}));
  client.ask(call(4, "shell"));
  EXPECT_EQ(machine.counter("control_replies_error"), 3U);
  EXPECT_EQ(machine.counter("control_error_unknown_op"), 1U);
  EXPECT_EQ(machine.counter("control_error_unknown_argument"), 1U);
  EXPECT_EQ(machine.counter("control_error_missing_argument"), 1U);
  EXPECT_EQ(machine.counter("control_error_busy"), 0U);
}

TEST_F(ServerTest, every_error_code_has_a_counter) {
  namespace error = abi::control::error;
  ServerCounters counters;
  const std::string_view codes[] = {error::kMalformedFrame,  error::kUnsupportedVersion,
                                    error::kUnknownCommand,  error::kTooLarge,
                                    error::kMalformedCbor,   error::kUnauthenticated,
                                    error::kTokenInvalid,    error::kTokenExpired,
                                    error::kTokenRevoked,    error::kForbidden,
                                    error::kUnknownOp,       error::kMissingArgument,
                                    error::kUnknownArgument, error::kBadArgument,
                                    error::kNotFound,        error::kBusy,
                                    error::kCancelled,       error::kFailed,
                                    error::kUnavailable,     "graph-unknown",  // those of graphs are counted together
                                    "package-unsigned",  // and those of packages, with those of their models
                                    "llm-queue-full"};   // and those of the LLM service, with those of its parts
  for (const std::string_view code : codes) {
    counters.count_error(code);
  }
  for (const kernel::Counter& counter : counters.errors) {
    EXPECT_EQ(counter.value(), 1U) << counter.name();
  }
  const auto& package = *(counters.errors.end() - 2);
  const auto& llm = counters.errors.back();
  counters.count_error("gguf-bad-file");
  EXPECT_EQ(package.name(), "control_error_package");
  EXPECT_EQ(package.value(), 2U);
  counters.count_error("sampler-bad-option");
  EXPECT_EQ(llm.name(), "control_error_llm");
  EXPECT_EQ(llm.value(), 2U);
}

TEST_F(ServerTest, connection_past_the_limit_is_told_and_closed) {
  std::vector<std::unique_ptr<TestClient>> clients;
  while (machine.counter("control_connections_open") < kMaxConnections - 1) {
    clients.push_back(std::make_unique<TestClient>());
    ASSERT_TRUE(clients.back()->connect(server));
  }
  TestClient turned_away;
  ASSERT_TRUE(turned_away.connect(server));
  const Answer reply = turned_away.answer();
  EXPECT_EQ(reply.id, abi::control::kNoRequest);
  EXPECT_EQ(reply.code(), "busy");
  EXPECT_EQ(reply.message(), "the control server has no room for another connection");
  EXPECT_TRUE(turned_away.stream.closed);
  TestClient beyond;
  EXPECT_FALSE(beyond.connect(server));
  turned_away.settle();
  clients.front()->stream.disconnect();
  TestClient late;
  ASSERT_TRUE(late.connect(server));
  late.hello();
  EXPECT_EQ(machine.counter("control_connections_refused"), 2U);
  EXPECT_EQ(machine.counter("control_notices"), 1U);
  late.stream.disconnect();
  for (const auto& held : clients) {
    held->stream.disconnect();
  }
}

TEST_F(ServerTest, half_closed_peer_gets_every_answer_and_then_the_end) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 10}}));
  client.send(call(3, "ping"));
  client.stream.end_sending();
  EXPECT_EQ(client.answer().id, 3U);
  EXPECT_FALSE(client.stream.closed);
  machine.advance_ns(10'000'000);
  EXPECT_EQ(client.answer().id, 2U);
  EXPECT_TRUE(client.stream.closed);
}

TEST_F(ServerTest, end_inside_a_frame_closes) {
  client.hello();
  Bytes half = call(2, "ping");
  half.resize(half.size() - 1);
  client.send(half);
  client.stream.end_sending();
  EXPECT_TRUE(client.answers().empty());
  EXPECT_TRUE(client.stream.closed);
  EXPECT_EQ(machine.counter("control_requests"), 1U);
}

TEST_F(ServerTest, peer_that_takes_no_more_is_reset) {
  client.hello();
  client.stream.end_receiving();
  client.send(call(2, "ping"));
  EXPECT_TRUE(client.stream.was_reset);
  client.settle();
  EXPECT_EQ(machine.counter("control_unanswered"), 1U);
}

TEST_F(ServerTest, disconnect_cancels_what_waits) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 1000}}));
  client.stream.disconnect();
  EXPECT_EQ(machine.counter("control_unanswered"), 1U);
  machine.advance_ns(2'000'000'000);  // the sleep must not answer a connection that is gone
}

TEST_F(ServerTest, no_timer_is_armed_while_there_is_room) {
  EXPECT_EQ(machine.timer.deadline, kernel::kNoDeadline);
  machine.advance_ns(100 * kHelloTimeoutNs);
  client.hello();
}

TEST_F(ServerTest, silence_instead_of_hello_ends_where_connections_are_scarce) {
  crowd();
  machine.advance_ns(kHelloTimeoutNs - 1);
  EXPECT_TRUE(client.answers().empty());
  machine.advance_ns(1);
  const Answer reply = client.answer();
  EXPECT_EQ(reply.id, abi::control::kNoRequest);
  EXPECT_EQ(reply.code(), "unauthenticated");
  EXPECT_EQ(reply.message(), "no token was accepted within 30 seconds");
  EXPECT_TRUE(client.stream.closed);
  EXPECT_EQ(machine.counter("control_timeouts"), 1U);
}

TEST_F(ServerTest, authenticated_connection_may_be_silent_for_ever) {
  client.hello();
  machine.advance_ns(100 * kHelloTimeoutNs);
  EXPECT_EQ(client.ask(call(2, "ping")).command, Wire::Reply);
}

TEST_F(ServerTest, closing_connection_whose_peer_takes_nothing_is_reset) {
  crowd();
  client.hello();
  client.stream.set_room(0);
  client.send(RawFrame{.magic = 'X', .payload = {0, 0, 0, 0}}.bytes());
  machine.advance_ns(kCloseTimeoutNs - 1);
  EXPECT_FALSE(client.stream.was_reset);
  client.stream.grant(1);  // a slow peer is given more time
  machine.advance_ns(kCloseTimeoutNs - 1);
  EXPECT_FALSE(client.stream.was_reset);
  machine.advance_ns(1);
  EXPECT_TRUE(client.stream.was_reset);
}

TEST_F(ServerTest, nothing_is_read_behind_a_frame_that_breaks_the_stream) {
  client.hello();
  Bytes both = RawFrame{.magic = 'X', .payload = {0, 0, 0, 0}}.bytes();
  const Bytes ping = call(2, "ping");
  both.insert(both.end(), ping.begin(), ping.end());
  client.send(both);
  EXPECT_EQ(client.answer().code(), "malformed-frame");
  EXPECT_TRUE(client.stream.closed);
}

TEST_F(ServerTest, wrong_frames_before_hello_are_answered_and_not_counted_as_attempts) {
  for (unsigned i = 0; i < 2 * kMaxStrikes; ++i) {
    EXPECT_EQ(client.ask(RawFrame{.flags = 1, .payload = payload_of(5, {{"op", "ping"}})}.bytes()).code(),
              "malformed-frame");
  }
  client.hello();
}

TEST_F(ServerTest, a_call_that_completes_while_answers_are_on_their_way_is_answered) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 1}}));
  client.stream.set_room(0);
  client.send(RawFrame{.magic = 'X', .payload = {0, 0, 0, 0}}.bytes());
  machine.advance_ns(1'000'000);
  client.stream.grant(10'000);
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].code(), "malformed-frame");
  EXPECT_EQ(answers[1].id, 2U);
  EXPECT_TRUE(client.stream.closed);
}

TEST_F(ServerTest, a_call_that_completes_behind_the_end_is_not_answered) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 1}}));
  EXPECT_EQ(client.ask(RawFrame{.magic = 'X', .payload = {0, 0, 0, 0}}.bytes()).code(), "malformed-frame");
  EXPECT_TRUE(client.stream.closed);
  machine.advance_ns(1'000'000);
  EXPECT_TRUE(client.answers().empty());
  client.settle();
  EXPECT_EQ(machine.counter("control_unanswered"), 1U);
}

TEST_F(ServerTest, input_in_any_pieces) {
  for (std::size_t piece = 1; piece < 40; ++piece) {
    TestClient other;
    other.stream.set_peek_limit(piece);
    ASSERT_TRUE(other.connect(server));
    other.hello();
    Bytes both = call(2, "echo", {{"text", "x"}});
    const Bytes second = call(3, "ping");
    both.insert(both.end(), second.begin(), second.end());
    other.send(both);
    EXPECT_EQ(other.answers().size(), 2U);
    other.stream.disconnect();
  }
}

}  // namespace
}  // namespace guest::control::testing
