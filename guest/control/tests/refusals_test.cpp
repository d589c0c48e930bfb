// What each refusal of the server says, and that nothing came of what was refused.
#include <gtest/gtest.h>

#include <deque>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "test_client.hpp"

namespace guest::control::testing {
namespace {

using kernel::FailingMemory;

class RefusalTest : public ServerTest {
 protected:
  /// "code [field]: message" of the Error that answers.
  std::string told(const Bytes& bytes) {
    const Answer answer = client.ask(bytes);
    EXPECT_EQ(answer.command, Wire::Error) << answer.body;
    return told(answer);
  }
  static std::string told(const Answer& answer) {
    return answer.code() + (answer.field().empty() ? "" : " [" + answer.field() + "]") + ": " + answer.message();
  }
};

TEST_F(RefusalTest, frames) {
  client.hello();
  const auto ping = payload_of(5, {{"op", "ping"}});
  EXPECT_EQ(told(RawFrame{.payload = {5, 0, 0}}.bytes()), "malformed-frame: the payload is too short for a request id");
  EXPECT_EQ(told(RawFrame{.payload = payload_of(0, {{"op", "ping"}})}.bytes()),
            "malformed-frame: the request id must not be 0");
  EXPECT_EQ(told(RawFrame{.flags = 1, .payload = ping}.bytes()), "malformed-frame: the flags of a frame must be 0");
  EXPECT_EQ(told(RawFrame{.command = 3, .payload = ping}.bytes()),
            "unknown-command: the command of a frame must be 0 (Hello), 1 (Call) or 2 (Cancel)");
  EXPECT_EQ(told(RawFrame{.payload = {6, 0, 0, 0, 0x01}}.bytes()), "malformed-cbor: the body of a frame must be a map");
  EXPECT_EQ(machine.counter("control_bad_frames"), 5U);
}

TEST_F(RefusalTest, hello) {
  const auto hello = [this](const json& body) { return told(request(Wire::Hello, 1, body)); };
  const json token = binary(make_token(Rights::All));
  EXPECT_EQ(hello(json::object()), "missing-argument [token]: Hello needs a token");
  EXPECT_EQ(hello({{"token", "short"}}), "bad-argument [token]: token must be 48 bytes");
  EXPECT_EQ(hello({{"token", token}, {"client", 1}}), "bad-argument [client]: client must be a text");
  EXPECT_EQ(hello({{"tokn", token}}), "unknown-argument [tokn]: unknown key 'tokn', allowed: token, client");
  EXPECT_EQ(told(call(2, "ping")), "unauthenticated: say Hello with a token first");
  EXPECT_EQ(machine.counter("control_tokens_accepted"), 0U);
}

TEST_F(RefusalTest, tokens) {
  const auto hello = [this](const abi::control::Token& token) {
    return told(request(Wire::Hello, 1, {{"token", binary(token)}}));
  };
  EXPECT_EQ(hello(make_token(Rights::All, 0, security::Key{})),
            "token-invalid: the token was not made with this machine's key, or was changed");
  EXPECT_EQ(hello(make_token(Rights::All, 1)), "token-expired: the token has expired");
  machine.services.unix_time_at_boot_ns = 0;
  EXPECT_EQ(hello(make_token(Rights::All, 1)),
            "token-expired: the token has an expiry, and this machine does not know the time");
  EXPECT_EQ(machine.counter("control_tokens_refused"), 3U);
  client.hello();
  EXPECT_EQ(client.ask(call(2, "ctlkey", {{"action", "rotate"}})).command, Wire::Reply);
  EXPECT_EQ(told(call(3, "ping")), "token-revoked: the token was revoked, by its id or with the machine's key");
}

TEST_F(RefusalTest, call_and_cancel) {
  client.hello();
  EXPECT_EQ(told(request(Wire::Call, 2, json::object())), "missing-argument [op]: op must be the name of a command");
  EXPECT_EQ(told(request(Wire::Call, 2, {{"op", 1}})), "bad-argument [op]: op must be the name of a command");
  EXPECT_EQ(told(request(Wire::Cancel, 2, json::object())), "missing-argument [id]: id must be a request's id");
  EXPECT_EQ(told(request(Wire::Cancel, 2, {{"id", -1}})), "bad-argument [id]: id must be a request's id");
  EXPECT_EQ(told(request(Wire::Cancel, 2, {{"id", 3}})),
            "not-found [id]: no call with this id is waiting for its answer");
}

TEST_F(RefusalTest, calls_that_wait) {
  client.hello();
  for (std::uint32_t id = 10; id < 10 + kMaxPendingCalls; ++id) {
    client.send(call(id, "sleep", {{"ms", 10}}));
  }
  EXPECT_EQ(told(call(2, "ping")), "busy: 32 calls of this connection have not been answered yet");
  client.send(request(Wire::Cancel, 3, {{"id", 10}}));
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(told(answers[0]), "cancelled: cancelled by its client");
  EXPECT_EQ(client.ask(call(2, "ping")).command, Wire::Reply);
}

TEST_F(RefusalTest, power_and_panic) {
  client.hello();
  EXPECT_EQ(told(call(2, "panic", {{"kind", "nul"}})), "bad-argument [kind]: kind: found 'nul', allowed: null|assert");
  EXPECT_TRUE(machine.faults.provoked.empty());
  // The machine of the tests survives it.
  EXPECT_EQ(told(call(2, "panic", {{"kind", "null"}})), "failed [kind]: the fault 'null' did not stop the machine");
  EXPECT_EQ(client.ask(call(3, "reboot")).command, Wire::Reply);
  EXPECT_EQ(told(call(4, "shutdown", {{"code", 7}})), "busy: the machine is going down already");
  machine.advance_ns(kPowerDelayNs);
  EXPECT_EQ(machine.power.events, std::vector<std::string>{"reset"});
}

TEST_F(RefusalTest, an_answer_that_no_frame_holds) {
  static std::deque<std::string> names;
  static std::deque<kernel::Counter> counters;  // the machine looks at them as long as it is there
  for (int i = 0; i < 1000; ++i) {
    names.push_back("counter_" + std::to_string(i) + std::string(80, 'x'));
    ASSERT_TRUE(machine.counters.add(counters.emplace_back(names.back())));
  }
  client.hello();
  EXPECT_EQ(told(call(2, "counters")), "too-large: the answer is longer than a frame of 65536 bytes");
  EXPECT_EQ(client.ask(call(3, "ping")).command, Wire::Reply);
}

TEST_F(RefusalTest, no_memory_for_a_request) {
  client.hello();
  {
    const FailingMemory memory(0);
    client.send(call(2, "ping", {{"payload", std::string(20000, 'p')}}));
  }
  const Answer answer = client.answer();
  EXPECT_EQ(answer.id, abi::control::kNoRequest);
  EXPECT_EQ(told(answer), "busy: no memory for the request");
  EXPECT_TRUE(client.stream.closed);
}

/// Whichever allocation fails: the call is refused and the connection goes on, or the connection ends; and no answer is
/// lost or comes twice, which the counters tell.
TEST_F(RefusalTest, no_memory_for_a_call_that_waits) {
  std::vector<std::string> all;
  for (std::size_t at = 0; all.empty() || all.back() != "later"; ++at) {
    TestClient other;
    ASSERT_TRUE(other.connect(server));
    other.hello();
    {
      const FailingMemory memory(at);
      other.send(call(2, "sleep", {{"ms", 1}}));
    }
    const auto answers = other.answers();
    all.push_back(!answers.empty() ? told(answers[0]) : other.stream.was_reset ? "reset" : "later");
    if (!other.stream.closed && !other.stream.was_reset) {
      machine.advance_ns(1'000'000);
      EXPECT_EQ(other.answers().size(), all.back() == "later" ? 1U : 0U);
      EXPECT_EQ(other.ask(call(2, "ping")).command, Wire::Reply);
    }
    other.stream.disconnect();
  }
  EXPECT_EQ(all, (std::vector<std::string>{"busy: no memory for the request",
                                           "busy: no memory for the calls of this connection",
                                           "busy: no memory for another sleep", "later"}));
}

}  // namespace
}  // namespace guest::control::testing
