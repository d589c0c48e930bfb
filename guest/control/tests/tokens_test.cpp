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
  using Refused = std::pair<std::string, std::string>;
  EXPECT_EQ(refusal(hello_with(json::binary(std::vector<std::uint8_t>(47)))), (Refused{"bad-argument", "token"}));
  EXPECT_EQ(refusal(hello_with(json::binary(std::vector<std::uint8_t>(49)))), (Refused{"bad-argument", "token"}));
  EXPECT_EQ(refusal(hello_with(std::string(48, 'x'))), (Refused{"bad-argument", "token"}));
  EXPECT_EQ(refusal(request(Wire::Hello, 1, json::object())), (Refused{"missing-argument", "token"}));
  EXPECT_EQ(refusal(request(Wire::Hello, 1, {{"tokn", 1}})), (Refused{"unknown-argument", "tokn"}));
  EXPECT_EQ(refusal(request(Wire::Hello, 1, {{"token", binary(make_token(Rights::All))}, {"client", 1}})),
            (Refused{"bad-argument", "client"}));
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

TEST(ServerWithoutKey, every_token_is_refused_with_a_reason) {
  FakeMachine machine;
  Server server(machine.services, machine.work, std::nullopt);
  TestClient client;
  ASSERT_TRUE(client.connect(server));
  const Answer reply = client.ask(hello_with(binary(make_token(Rights::All, 0, security::Key{}))));
  EXPECT_EQ(reply.code(), "token-invalid");
  EXPECT_NE(reply.message().find("without a control key"), std::string::npos);
  client.stream.disconnect();
}

}  // namespace
}  // namespace guest::control::testing
