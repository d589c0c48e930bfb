// Frames and requests: what is answered, and how.
#include <gmock/gmock.h>

#include "test_client.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;
using Refused = std::pair<std::string, std::string>;

TEST_F(ServerTest, hello_tells_server_rights_and_limits) {
  const Answer reply =
      client.ask(request(Wire::Hello, 9, {{"token", binary(make_token(Rights::Observe))}, {"client", "unit test"}}));
  EXPECT_EQ(reply.command, Wire::Reply);
  EXPECT_EQ(reply.id, 9U);
  EXPECT_EQ(reply.body, (json{{"status", "ok"},
                              {"server", "sis"},
                              {"version", "0.1.0"},
                              {"protocol", 1},
                              {"rights", 1},
                              {"max_payload", 65536}}));
}

TEST_F(ServerTest, ping_returns_payload_and_time) {
  client.hello();
  const Answer text = client.ask(call(2, "ping", {{"payload", "a b"}}));
  EXPECT_EQ(text.body, (json{{"status", "ok"}, {"result", {{"time_ns", 1'000'000'000}, {"payload", "a b"}}}}));
  const json bytes = json::binary({0, 255, 1});
  EXPECT_EQ(client.ask(call(3, "ping", {{"payload", bytes}})).body["result"]["payload"], bytes);
  EXPECT_FALSE(client.ask(call(4, "ping")).body["result"].contains("payload"));
}

TEST_F(ServerTest, largest_payload_of_ping_comes_back_whole) {
  client.hello();
  const std::string payload(32768, 'x');
  EXPECT_EQ(client.ask(call(2, "ping", {{"payload", payload}})).body["result"]["payload"], payload);
  EXPECT_EQ(refusal(call(3, "ping", {{"payload", payload + "x"}})), (Refused{"bad-argument", "payload"}));
}

TEST_F(ServerTest, each_wrong_header_field_has_its_error) {
  client.hello();
  const auto good = payload_of(5, {{"op", "ping"}});
  struct Case {
    RawFrame frame;
    std::string code;
    std::uint32_t id;
    bool closes;
  };
  const Case cases[] = {
      {{.magic = 'X', .payload = good}, "malformed-frame", 0, true},
      {{.version = 0, .payload = good}, "unsupported-version", 0, true},
      {{.version = 2, .payload = good}, "unsupported-version", 0, true},
      {{.payload = good, .length = 65537}, "too-large", 0, true},
      {{.payload = good, .length = 0xFFFFFFFF}, "too-large", 0, true},
      {{.command = 0x55, .payload = good}, "unknown-command", 5, false},
      {{.command = 0x80, .payload = good}, "unknown-command", 5, false},
      {{.flags = 1, .payload = good}, "malformed-frame", 5, false},
      {{.payload = {}}, "malformed-frame", 0, false},
      {{.payload = {5, 0, 0}}, "malformed-frame", 0, false},
      {{.payload = payload_of(0, {{"op", "ping"}})}, "malformed-frame", 0, false},
      {{.payload = {6, 0, 0, 0}}, "malformed-cbor", 6, false},
      {{.payload = {6, 0, 0, 0, 0xFF}}, "malformed-cbor", 6, false},
      {{.payload = {6, 0, 0, 0, 0x01}}, "malformed-cbor", 6, false},
      {{.payload = {6, 0, 0, 0, 0xA0, 0x00}}, "malformed-cbor", 6, false},
  };
  for (const Case& wrong : cases) {
    SCOPED_TRACE(wrong.code + " " + std::to_string(&wrong - cases));
    TestClient other;
    ASSERT_TRUE(other.connect(server));
    other.hello();
    const Answer reply = other.ask(wrong.frame.bytes());
    EXPECT_EQ(reply.command, Wire::Error);
    EXPECT_EQ(reply.code(), wrong.code);
    EXPECT_EQ(reply.id, wrong.id);
    EXPECT_EQ(other.stream.closed, wrong.closes);
    if (!wrong.closes) {
      EXPECT_EQ(other.ask(call(77, "ping")).id, 77U);
    }
    other.stream.disconnect();
  }
}

TEST_F(ServerTest, payload_before_hello_is_small) {
  TestClient stranger;
  ASSERT_TRUE(stranger.connect(server));
  EXPECT_EQ(stranger.ask(RawFrame{.payload = {}, .length = kMaxHelloPayload + 1}.bytes()).code(), "too-large");
  EXPECT_TRUE(stranger.stream.closed);
  stranger.stream.disconnect();
  client.send(RawFrame{.payload = {}, .length = kMaxHelloPayload}.bytes());
  EXPECT_TRUE(client.answers().empty());
}

TEST_F(ServerTest, long_call_right_behind_hello_is_taken) {
  Bytes both = request(Wire::Hello, 1, {{"token", binary(make_token(Rights::All))}});
  const Bytes ping = call(2, "ping", {{"payload", std::string(5000, 'p')}});
  both.insert(both.end(), ping.begin(), ping.end());
  client.send(both);
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[1].command, Wire::Reply);
}

TEST_F(ServerTest, bytes_one_by_one_make_the_same_request) {
  client.hello();
  for (const std::byte byte : call(3, "echo", {{"text", "split"}})) {
    EXPECT_TRUE(client.answers().empty());
    client.send({byte});
  }
  EXPECT_EQ(client.answer().body["result"]["text"], "split");
}

TEST_F(ServerTest, bad_calls_name_code_and_field) {
  client.hello();
  EXPECT_EQ(refusal(call(2, "no-such-op")), (Refused{"unknown-op", "op"}));
  EXPECT_EQ(refusal(request(Wire::Call, 2, json::object())), (Refused{"missing-argument", "op"}));
  EXPECT_EQ(refusal(request(Wire::Call, 2, {{"op", 1}})), (Refused{"bad-argument", "op"}));
  EXPECT_EQ(refusal(request(Wire::Call, 2, {{"op", "ping"}, {"arg", 1}})), (Refused{"unknown-argument", "arg"}));
  EXPECT_EQ(refusal(call(2, "ping", 5)), (Refused{"bad-argument", "args"}));
  EXPECT_EQ(refusal(call(2, "ping", {{"paylod", "x"}})), (Refused{"unknown-argument", "paylod"}));
  EXPECT_EQ(refusal(call(2, "ping", {{"payload", true}})), (Refused{"bad-argument", "payload"}));
  EXPECT_EQ(refusal(call(2, "shutdown", {{"code", 256}})), (Refused{"bad-argument", "code"}));
  EXPECT_EQ(refusal(call(2, "shutdown", {{"code", -1}})), (Refused{"bad-argument", "code"}));
  EXPECT_EQ(refusal(call(2, "shutdown", {{"code", "0"}})), (Refused{"bad-argument", "code"}));
  EXPECT_EQ(refusal(call(2, "shell")), (Refused{"missing-argument", "line"}));
  EXPECT_EQ(refusal(call(2, "log", {{"level", "loud"}})), (Refused{"bad-argument", "level"}));
  EXPECT_TRUE(machine.power.events.empty());
}

TEST_F(ServerTest, error_messages_carry_no_control_characters_of_the_client) {
  client.hello();
  for (const auto& bytes : {call(2, "\x1e SIS-EXIT"), call(2, "ping", {{"\x1b[2J", 1}}),
                            call(2, "panic", {{"kind", "\n\x1e"}}), request(Wire::Call, 2, {{"\x07", 1}})}) {
    const Answer reply = client.ask(bytes);
    EXPECT_EQ(reply.command, Wire::Error);
    for (const char c : reply.message() + reply.field()) {
      EXPECT_GE(static_cast<unsigned char>(c), 0x20U) << reply.message();
    }
  }
}

TEST_F(ServerTest, rights_are_needed_and_named) {
  client.hello(Rights::Observe);
  const Answer reply = client.ask(call(2, "shutdown"));
  EXPECT_EQ(reply.code(), "forbidden");
  EXPECT_THAT(reply.message(), HasSubstr("'shutdown' needs rights 0x4, the token gives 0x1"));
  EXPECT_EQ(refusal(call(3, "sleep", {{"ms", 1}})).first, "forbidden");
  EXPECT_EQ(client.ask(call(4, "info")).command, Wire::Reply);
  machine.advance_ns(2 * kPowerDelayNs);
  EXPECT_TRUE(machine.power.events.empty());
}

TEST_F(ServerTest, sleep_completes_later_and_out_of_order) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 20}}));
  client.send(call(3, "sleep", {{"ms", 10}}));
  EXPECT_EQ(client.ask(call(4, "ping")).id, 4U);
  machine.advance_ns(9'999'999);
  EXPECT_TRUE(client.answers().empty());
  machine.advance_ns(1);
  EXPECT_EQ(client.answer().id, 3U);
  machine.advance_ns(10'000'000);
  const Answer last = client.answer();
  EXPECT_EQ(last.id, 2U);
  EXPECT_EQ(last.body, (json{{"status", "ok"}, {"result", json::object()}}));
}

TEST_F(ServerTest, cancel_ends_the_named_call_alone) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 10}}));
  client.send(call(3, "sleep", {{"ms", 10}}));
  client.send(request(Wire::Cancel, 4, {{"id", 2}}));
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].id, 2U);
  EXPECT_EQ(answers[0].code(), "cancelled");
  EXPECT_EQ(answers[1].id, 4U);
  EXPECT_EQ(answers[1].command, Wire::Reply);
  machine.advance_ns(20'000'000);
  EXPECT_EQ(client.answer().id, 3U);
}

TEST_F(ServerTest, cancel_of_what_does_not_wait_is_not_found) {
  client.hello();
  EXPECT_EQ(refusal(request(Wire::Cancel, 5, {{"id", 2}})), (Refused{"not-found", "id"}));
  EXPECT_EQ(refusal(request(Wire::Cancel, 5, json::object())), (Refused{"missing-argument", "id"}));
  EXPECT_EQ(refusal(request(Wire::Cancel, 5, {{"id", "2"}})), (Refused{"bad-argument", "id"}));
  EXPECT_EQ(refusal(request(Wire::Cancel, 5, {{"id", 1ULL << 32}})), (Refused{"bad-argument", "id"}));
  TestClient other;
  ASSERT_TRUE(other.connect(server));
  other.hello();
  other.send(call(2, "sleep", {{"ms", 10}}));
  EXPECT_EQ(refusal(request(Wire::Cancel, 5, {{"id", 2}})), (Refused{"not-found", "id"}));
  other.stream.disconnect();
}

TEST_F(ServerTest, id_of_a_waiting_call_cannot_be_used_again) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 10}}));
  const Bytes hello = request(Wire::Hello, 2, {{"token", binary(make_token(Rights::All))}});
  for (const Bytes& again : {call(2, "ping"), request(Wire::Cancel, 2, {{"id", 2}}), hello}) {
    const Answer reply = client.ask(again);
    EXPECT_EQ(reply.code(), "bad-argument");
    EXPECT_EQ(reply.message(), "a call with this request id has not been answered yet");
  }
  machine.advance_ns(10'000'000);
  EXPECT_EQ(client.answer().command, Wire::Reply);
  EXPECT_EQ(client.ask(call(2, "ping")).command, Wire::Reply);
  EXPECT_EQ(client.ask(hello).command, Wire::Reply);
}

TEST_F(ServerTest, calls_past_the_limit_are_busy_and_room_comes_back) {
  client.hello();
  for (std::uint32_t id = 10; id < 10 + kMaxPendingCalls; ++id) {
    client.send(call(id, "sleep", {{"ms", 10}}));
  }
  EXPECT_EQ(refusal(call(2, "sleep", {{"ms", 10}})).first, "busy");
  machine.advance_ns(10'000'000);
  EXPECT_EQ(client.answers().size(), kMaxPendingCalls);
  client.send(call(3, "sleep", {{"ms", 1}}));
  machine.advance_ns(1'000'000);
  EXPECT_EQ(client.answer().command, Wire::Reply);
}

TEST_F(ServerTest, shutdown_is_carried_out_after_the_requester_has_gone) {
  client.hello();
  EXPECT_EQ(client.ask(call(2, "shutdown", {{"code", 7}})).body["result"]["code"], 7);
  EXPECT_EQ(refusal(call(3, "reboot")).first, "busy");
  machine.run();
  EXPECT_TRUE(machine.power.events.empty());
  client.stream.disconnect();
  EXPECT_EQ(machine.power.events, std::vector<std::string>{"off 7"});
}

TEST_F(ServerTest, reboot_does_not_wait_for_a_requester_that_stays) {
  client.hello();
  EXPECT_EQ(client.ask(call(2, "reboot")).command, Wire::Reply);
  machine.advance_ns(kPowerDelayNs - 1);
  EXPECT_TRUE(machine.power.events.empty());
  machine.advance_ns(1);
  EXPECT_EQ(machine.power.events, std::vector<std::string>{"reset"});
}

TEST_F(ServerTest, panic_provokes_known_kinds_only) {
  client.hello();
  const Answer wrong = client.ask(call(2, "panic", {{"kind", "nul"}}));
  EXPECT_EQ(wrong.code(), "bad-argument");
  EXPECT_EQ(wrong.field(), "kind");
  EXPECT_THAT(wrong.message(), HasSubstr("null|assert"));
  EXPECT_TRUE(machine.faults.provoked.empty());
  client.ask(call(3, "panic", {{"kind", "null"}}));
  EXPECT_EQ(machine.faults.provoked, std::vector<std::string>{"null"});
}

}  // namespace
}  // namespace guest::control::testing
