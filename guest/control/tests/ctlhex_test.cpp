// Frames in hexadecimal, through the server by way of a command.
#include <gmock/gmock.h>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "test_client.hpp"

namespace guest::control::testing {
namespace {

std::string hex_of(const Bytes& bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", std::to_integer<unsigned>(byte));
    text += digits;
  }
  return text;
}

class CtlhexTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    client.hello();
  }
  static Bytes together(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
  static Bytes hello_frame(Rights rights = Rights::All) {
    return request(Wire::Hello, 1, {{"token", binary(make_token(rights))}});
  }
  /// The bodies of the frames that the server answers to `bytes`.
  std::vector<json> through(const Bytes& bytes) {
    client.send(call(9, "ctlhex", {{"hex", hex_of(bytes)}}));
    machine.run();
    const Answer reply = client.answer();
    EXPECT_EQ(reply.command, Wire::Reply) << reply.body;
    const std::string text = reply.body["result"].value("answer", "");
    EXPECT_EQ(reply.body["result"]["bytes"], text.size() / 2);
    std::vector<std::uint8_t> answer;
    for (std::size_t i = 0; i < text.size(); i += 2) {
      answer.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
    }
    std::vector<json> bodies;
    for (std::size_t at = 0; at + 12 <= answer.size();) {
      const std::size_t length = answer[at + 4] + 256U * answer[at + 5];
      bodies.push_back(json::from_cbor(answer.begin() + static_cast<std::ptrdiff_t>(at + 12),
                                       answer.begin() + static_cast<std::ptrdiff_t>(at + 8 + length)));
      at += 8 + length;
    }
    return bodies;
  }
  std::string refused(const std::string& hex) {
    client.send(call(9, "ctlhex", {{"hex", hex}}));
    machine.run();
    const Answer answer = client.answer();
    return answer.code() + ": " + answer.message();
  }
};

TEST_F(CtlhexTest, frame_without_a_token_has_no_rights) {
  const auto bodies = through(call(4, "info"));
  ASSERT_EQ(bodies.size(), 1U);
  EXPECT_EQ(bodies[0]["code"], "unauthenticated");
  EXPECT_EQ(machine.counter("control_connections_open"), 1U);
}

TEST_F(CtlhexTest, frames_have_the_rights_of_the_token_before_them) {
  const auto bodies = through(together({hello_frame(Rights::Observe), call(4, "version"), call(5, "log")}));
  ASSERT_EQ(bodies.size(), 3U);
  EXPECT_EQ(bodies[1]["result"]["version"], "0.1.0");
  EXPECT_EQ(bodies[2]["code"], "forbidden");
}

TEST_F(CtlhexTest, call_that_waits_is_waited_for) {
  client.send(call(9, "ctlhex", {{"hex", hex_of(together({hello_frame(), call(4, "sleep", {{"ms", 5}})}))}}));
  machine.advance_ns(4'999'999);
  EXPECT_TRUE(client.answers().empty());
  machine.advance_ns(1);
  EXPECT_EQ(client.answer().command, Wire::Reply);
}

TEST_F(CtlhexTest, half_a_frame_has_no_answer) { EXPECT_TRUE(through({std::byte{'C'}, std::byte{1}}).empty()); }

TEST_F(CtlhexTest, stream_that_cannot_be_followed_is_answered_and_closed) {
  EXPECT_EQ(through(RawFrame{.magic = 'X'}.bytes())[0]["code"], "malformed-frame");
}

TEST_F(CtlhexTest, what_is_no_hexadecimal_is_refused) {
  const std::string no_pairs = " bytes that are not all pairs of hexadecimal digits";
  EXPECT_EQ(refused("4301zz"), "bad-argument: hex: found 6" + no_pairs);
  EXPECT_EQ(refused("430"), "bad-argument: hex: found 3" + no_pairs);
}

TEST_F(CtlhexTest, answers_that_are_too_long_are_refused) {
  Bytes all = hello_frame();
  for (std::uint32_t i = 0; i < 6; ++i) {
    const Bytes help = call(4 + i, "help");
    all.insert(all.end(), help.begin(), help.end());
  }
  EXPECT_EQ(refused(hex_of(all)), "too-large: the answers are longer than 20480 bytes");
}

TEST_F(CtlhexTest, short_memory_is_told) {
  std::vector<std::string> told;
  for (std::size_t at = 0; told.empty() || told.back() != ": "; ++at) {
    TestClient other;
    ASSERT_TRUE(other.connect(server));
    other.hello();
    {
      const kernel::FailingMemory memory(at);
      other.send(call(9, "ctlhex", {{"hex", hex_of(call(4, "info"))}}));
    }
    machine.run();
    const auto answers = other.answers();
    told.push_back(answers.empty() ? "ended" : answers[0].code() + ": " + answers[0].message());
    other.stream.disconnect();
  }
  EXPECT_THAT(told, ::testing::Contains("busy: no memory for another connection"));
}

TEST_F(CtlhexTest, cancelled_or_left_alone_it_takes_its_connection_along) {
  const std::string hex = hex_of(together({hello_frame(), call(4, "sleep", {{"ms", 60'000}})}));
  client.send(call(9, "ctlhex", {{"hex", hex}}));
  client.send(call(10, "ctlhex", {{"hex", hex}}));
  machine.run();
  EXPECT_EQ(machine.counter("control_connections_open"), 3U);
  client.send(request(Wire::Cancel, 11, {{"id", 9}}));
  machine.run();
  EXPECT_EQ(machine.counter("control_connections_open"), 2U);
  client.stream.disconnect();
  machine.run();
  EXPECT_EQ(machine.counter("control_connections_open"), 0U);
}

TEST_F(CtlhexTest, ctlhex_within_ctlhex_works) {
  const Bytes inner = together({hello_frame(), call(4, "version")});
  const auto bodies = through(together({hello_frame(), call(4, "ctlhex", {{"hex", hex_of(inner)}})}));
  ASSERT_EQ(bodies.size(), 2U);
  EXPECT_GT(bodies[1]["result"]["bytes"], 100);
}

TEST_F(CtlhexTest, rotation_within_it_revokes_who_asked_for_it) {
  client.send(
      call(9, "ctlhex", {{"hex", hex_of(together({hello_frame(), call(4, "ctlkey", {{"action", "rotate"}})}))}}));
  machine.run();
  const Answer reply = client.answer();
  EXPECT_TRUE(reply.command == Wire::Reply || reply.code() == "cancelled") << reply.body;
  EXPECT_EQ(refusal(call(3, "ping")).first, "token-revoked");
}

TEST_F(CtlhexTest, shutdown_within_it_is_carried_out_after_the_answer) {
  EXPECT_EQ(through(together({hello_frame(), call(4, "shutdown", {{"code", 3}})})).size(), 2U);
  EXPECT_EQ(machine.power.events, (std::vector<std::string>{"off 3"}));
}

}  // namespace
}  // namespace guest::control::testing
