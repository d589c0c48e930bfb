// Tokens: who is let in.
#include "test_client.hpp"

namespace guest::control::testing {
namespace {

constexpr std::uint64_t kNow = FakeMachine::kUnixTimeAtBoot + 1'000'000'000;  // the fake clock starts at one second

Bytes hello_with(const json& token) { return request(Wire::Hello, 1, {{"token", token}}); }

TEST_F(ServerTest, request_before_hello_is_refused) {
  EXPECT_EQ(refusal(call(4, "ping")).first, "unauthenticated");
  EXPECT_EQ(refusal(request(Wire::Cancel, 4, {{"id", 1}})).first, "unauthenticated");
  client.hello();
  EXPECT_EQ(client.ask(call(4, "ping")).command, Wire::Reply);
}

TEST_F(ServerTest, changed_tokens_are_invalid) {
  for (std::size_t i = 0; i < sizeof(abi::control::Token); ++i) {
    TestClient other;
    ASSERT_TRUE(other.connect(server));
    abi::control::Token token = make_token(Rights::Observe);
    reinterpret_cast<unsigned char*>(&token)[i] ^= 0x04;
    EXPECT_EQ(other.ask(hello_with(binary(token))).code(), "token-invalid") << "byte " << i;
    other.stream.disconnect();
  }
}

TEST_F(ServerTest, token_of_another_key_is_invalid) {
  EXPECT_EQ(refusal(hello_with(binary(make_token(Rights::All, 0, security::Key{})))).first, "token-invalid");
}

TEST_F(ServerTest, well_made_token_with_impossible_fields_is_invalid) {
  EXPECT_EQ(refusal(hello_with(binary(make_token(static_cast<Rights>(8))))).first, "token-invalid");
}

TEST_F(ServerTest, token_must_be_48_bytes) {
  using CodeAndDetail = std::pair<std::string, std::string>;
  EXPECT_EQ(refusal(hello_with(json::binary(std::vector<std::uint8_t>(47)))), (CodeAndDetail{"bad-argument", "token"}));
  EXPECT_EQ(refusal(hello_with(json::binary(std::vector<std::uint8_t>(49)))), (CodeAndDetail{"bad-argument", "token"}));
  EXPECT_EQ(refusal(hello_with(std::string(48, 'x'))), (CodeAndDetail{"bad-argument", "token"}));
  EXPECT_EQ(refusal(request(Wire::Hello, 1, json::object())), (CodeAndDetail{"missing-argument", "token"}));
  EXPECT_EQ(refusal(request(Wire::Hello, 1, {{"tokn", 1}})), (CodeAndDetail{"unknown-argument", "tokn"}));
  EXPECT_EQ(refusal(request(Wire::Hello, 1, {{"token", binary(make_token(Rights::All))}, {"client", 1}})),
            (CodeAndDetail{"bad-argument", "client"}));
}

TEST_F(ServerTest, expiry_follows_the_scenarios_time_and_the_clock) {
  const Bytes expires_later = hello_with(binary(make_token(Rights::All, kNow + 1)));
  EXPECT_EQ(refusal(hello_with(binary(make_token(Rights::All, kNow)))).first, "token-expired");
  EXPECT_EQ(client.ask(expires_later).command, Wire::Reply);
  machine.advance_ns(1);
  EXPECT_EQ(refusal(expires_later).first, "token-expired");
}

TEST_F(ServerTest, expiring_token_is_refused_where_the_time_is_unknown) {
  machine.services.unix_time_at_boot_ns = 0;
  EXPECT_EQ(refusal(hello_with(binary(make_token(Rights::All, kNow + 1)))).first, "token-expired");
  EXPECT_EQ(client.ask(hello_with(binary(make_token(Rights::All)))).command, Wire::Reply);
}

TEST_F(ServerTest, refused_hello_keeps_earlier_rights_and_accepted_one_replaces_them) {
  client.hello(Rights::Observe);
  EXPECT_EQ(refusal(hello_with(binary(make_token(Rights::All, 1)))).first, "token-expired");
  EXPECT_EQ(client.ask(call(2, "info")).command, Wire::Reply);
  client.hello(Rights::Submit);
  EXPECT_EQ(refusal(call(2, "info")).first, "forbidden");
}

TEST_F(ServerTest, attempts_of_one_connection_are_bounded) {
  const Bytes wrong = hello_with(binary(make_token(Rights::All, 1)));
  for (unsigned i = 0; i < kMaxStrikes; ++i) {
    EXPECT_FALSE(client.stream.closed);
    EXPECT_EQ(refusal(wrong).first, "token-expired");
  }
  EXPECT_TRUE(client.stream.closed);
  EXPECT_EQ(machine.counter("control_tokens_refused"), kMaxStrikes);
}

/// What ends a grant that is in use.
class EndedGrantTest : public ServerTest {
 protected:
  void hello_until(std::uint64_t expires_unix_ns) {
    ASSERT_EQ(client.ask(hello_with(binary(make_token(Rights::All, expires_unix_ns)))).command, Wire::Reply);
  }
  /// The next frame, an Error to the call `id`: its code and message.
  std::pair<std::string, std::string> error_of(std::uint32_t id) {
    const auto all = client.answers();
    EXPECT_EQ(all.size(), 1U);
    const Answer reply = all.empty() ? Answer{Wire::Reply, 0, json::object()} : all.front();
    EXPECT_EQ(reply.id, id);
    EXPECT_EQ(reply.command, Wire::Error);
    return {reply.code(), reply.message()};
  }
  security::Authority& authority = machine.authority;
};

TEST_F(EndedGrantTest, open_connection_has_no_rights_when_its_token_expires) {
  hello_until(kNow + 5);
  machine.advance_ns(4);
  EXPECT_EQ(client.ask(call(2, "info")).command, Wire::Reply);
  machine.advance_ns(1);
  EXPECT_EQ(refusal(call(2, "info")).first, "token-expired");
  EXPECT_EQ(refusal(request(Wire::Cancel, 3, {{"id", 1}})).first, "token-expired");
}

TEST_F(EndedGrantTest, open_connection_has_no_rights_when_its_token_is_revoked) {
  client.hello();
  ASSERT_TRUE(authority.revoke(7, kNow));
  EXPECT_EQ(refusal(call(2, "info")).first, "token-revoked");
  EXPECT_EQ(refusal(hello_with(binary(make_token(Rights::All)))).first, "token-revoked");
  EXPECT_EQ(machine.counter("control_error_token_revoked"), 2U);
}

TEST_F(EndedGrantTest, open_connection_has_no_rights_when_the_key_is_rotated_and_can_say_hello_again) {
  client.hello();
  const auto key = authority.rotate(std::nullopt, 1);
  EXPECT_EQ(refusal(call(2, "info")).first, "token-revoked");
  EXPECT_EQ(refusal(call(3, "ping")).first, "token-revoked");
  EXPECT_EQ(refusal(hello_with(binary(make_token(Rights::All)))).first, "token-invalid");
  EXPECT_EQ(client.ask(hello_with(binary(make_token(Rights::All, 0, *key)))).command, Wire::Reply);
  EXPECT_EQ(client.ask(call(2, "info")).command, Wire::Reply);
}

TEST_F(EndedGrantTest, attempts_are_bounded_again_after_the_grant_has_ended) {
  client.hello();
  ASSERT_TRUE(authority.rotate(std::nullopt, 1));
  for (unsigned i = 0; i < kMaxStrikes; ++i) {
    EXPECT_FALSE(client.stream.closed);
    EXPECT_EQ(refusal(call(2, "info")).first, "token-revoked");
  }
  EXPECT_TRUE(client.stream.closed);
}

TEST_F(EndedGrantTest, waiting_calls_are_cancelled_by_revocation) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 60'000}}));
  EXPECT_TRUE(client.answers().empty());
  ASSERT_TRUE(authority.revoke(7, kNow));
  EXPECT_TRUE(client.answers().empty());
  machine.run();
  const auto [code, message] = error_of(2);
  EXPECT_EQ(code, "cancelled");
  EXPECT_NE(message.find("revoked"), std::string::npos);
}

TEST_F(EndedGrantTest, waiting_calls_are_cancelled_when_the_token_expires_without_another_request) {
  TestClient other;
  ASSERT_TRUE(other.connect(server));
  hello_until(kNow + 5'000'000);
  ASSERT_EQ(other.ask(hello_with(binary(make_token(Rights::All, kNow + 7'000'000)))).command, Wire::Reply);
  client.send(call(2, "sleep", {{"ms", 60'000}}));
  other.send(call(2, "sleep", {{"ms", 60'000}}));
  machine.advance_ns(4'999'999);
  EXPECT_TRUE(client.answers().empty());
  machine.advance_ns(1);
  EXPECT_EQ(error_of(2).first, "cancelled");
  EXPECT_TRUE(other.answers().empty());
  machine.advance_ns(2'000'000);
  EXPECT_EQ(other.answer().code(), "cancelled");
  other.stream.disconnect();
}

TEST_F(EndedGrantTest, call_ends_with_the_token_that_it_was_begun_under) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 60'000}}));
  abi::control::Token other = security::make_token({.id = 8, .rights = Rights::Submit}, test_key());
  ASSERT_EQ(client.ask(hello_with(binary(other))).command, Wire::Reply);
  ASSERT_TRUE(authority.revoke(7, kNow));
  machine.run();
  EXPECT_EQ(error_of(2).first, "cancelled");
  client.send(call(3, "sleep", {{"ms", 1}}));
  machine.advance_ns(1'000'000);
  EXPECT_EQ(client.answer().command, Wire::Reply);
}

TEST(ServerWithoutKey, every_token_is_refused_with_a_reason) {
  FakeMachine machine(std::nullopt);
  Server server(machine.services, machine.work);
  TestClient client;
  ASSERT_TRUE(client.connect(server));
  const Answer reply = client.ask(hello_with(binary(make_token(Rights::All, 0, security::Key{}))));
  EXPECT_EQ(reply.code(), "token-invalid");
  EXPECT_NE(reply.message().find("without a control key"), std::string::npos);
  client.stream.disconnect();
}

}  // namespace
}  // namespace guest::control::testing
