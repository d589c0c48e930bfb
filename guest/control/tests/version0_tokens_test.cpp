// Version 0: who is let in, by which way, for what; and how many.
#include "version0_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::StartsWith;

constexpr std::uint64_t kAdmin = 0x1111'2222'3333'4444;
constexpr std::uint64_t kSubmit = 0x5555'6666'7777'8888;
constexpr char kInvalid[] = "ERR token-invalid the token is none of this machine's\n";

class Version0TokenTest : public Version0Test {
 protected:
  Version0TokenTest() {
    EXPECT_TRUE(machine.authority.set_legacy(security::Legacy::Admin, kAdmin).has_value());
    EXPECT_TRUE(machine.authority.set_legacy(security::Legacy::Submit, kSubmit).has_value());
  }
};

TEST_F(Version0TokenTest, development_token_counts_on_the_legacy_socket_only) {
  EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
  TestClient other;
  ASSERT_TRUE(other.connect(server));
  send(other, legacy(Legacy::CreateGraph));
  EXPECT_EQ(text_of(other.stream.take_sent()), kInvalid);
  send(other, legacy_with(kAdmin, Legacy::CreateGraph));
  EXPECT_EQ(text_of(other.stream.take_sent()), "OK GRAPH name=v0\n");
  other.stream.disconnect();
}

TEST_F(Version0TokenTest, building_needs_admin_and_starting_submit) {
  const auto forbidden = [&](Legacy command, auto... fields) { return ask(legacy_with(kSubmit, command, fields...)); };
  EXPECT_EQ(forbidden(Legacy::CreateGraph), "ERR forbidden CreateGraph needs rights 0x4, the token gives 0x3\n");
  EXPECT_THAT(forbidden(Legacy::AddChannel), StartsWith("ERR forbidden AddChannel "));
  EXPECT_THAT(forbidden(Legacy::AddOperator), StartsWith("ERR forbidden AddOperator "));
  EXPECT_THAT(forbidden(Legacy::AddOperatorTyped), StartsWith("ERR forbidden AddOperatorTyped "));
  EXPECT_THAT(forbidden(Legacy::EnableDeterministic), StartsWith("ERR forbidden EnableDeterministic "));
  EXPECT_THAT(forbidden(Legacy::LlmLoad), StartsWith("ERR forbidden LlmLoad "));
  EXPECT_THAT(forbidden(Legacy::LlmInferStart, std::uint16_t{1}), StartsWith("ERR unavailable "));
  build();
  EXPECT_THAT(ask(legacy_with(kSubmit, Legacy::StartGraph, std::uint32_t{2})), StartsWith("OK RUN steps=2 "));
  // Each frame has its own token: the last one's rights do not stay.
  EXPECT_THAT(ask(legacy_with(kAdmin, Legacy::CreateGraph)), StartsWith("OK"));
  EXPECT_THAT(forbidden(Legacy::CreateGraph), StartsWith("ERR forbidden "));
}

TEST_F(Version0TokenTest, wrong_tokens_of_a_connection_are_bounded_also_between_right_ones) {
  for (unsigned i = 0; i < kMaxStrikes; ++i) {
    EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
    EXPECT_FALSE(client.stream.closed);
    EXPECT_EQ(ask(legacy_with(kAdmin ^ (std::uint64_t{1} << i), Legacy::CreateGraph)), kInvalid);
  }
  EXPECT_TRUE(client.stream.closed);
  EXPECT_EQ(machine.counter("control_tokens_refused"), kMaxStrikes);
}

TEST_F(Version0TokenTest, payloads_too_short_for_a_token_are_bounded_too) {
  const Bytes empty = RawFrame{.version = 0, .command = 1}.bytes();
  for (unsigned i = 0; i < kMaxStrikes; ++i) {
    EXPECT_FALSE(client.stream.closed);
    EXPECT_THAT(ask(empty), StartsWith("ERR malformed-frame "));
  }
  EXPECT_TRUE(client.stream.closed);
}

TEST_F(Version0TokenTest, a_token_that_is_replaced_ends_the_wait_for_a_run_and_not_the_run) {
  build();
  threads::start("test", [&] {
    client.send(legacy_with(kSubmit, Legacy::StartGraph, std::uint32_t{200}));
    client.send(legacy(Legacy::AddChannel, std::uint16_t{1}));
    ASSERT_TRUE(machine.authority.set_legacy(security::Legacy::Submit, std::nullopt).has_value());
    machine.run();
  });
  threads::run_until_idle();
  EXPECT_THAT(text_of(client.stream.take_sent()),
              ::testing::MatchesRegex("ERR cancelled [^\n]+\nERR graph-busy [^\n]+\n"));
  EXPECT_EQ(graph_v0().runner->report().executions, 600U);
}

TEST_F(Version0TokenTest, clients_of_the_legacy_socket_leave_room_for_others) {
  std::vector<std::unique_ptr<TestClient>> crowd;
  for (std::size_t i = 1; i < kMaxLegacyConnections; ++i) {
    crowd.push_back(std::make_unique<TestClient>());
    ASSERT_TRUE(crowd.back()->connect(server.legacy_listener()));
    EXPECT_FALSE(crowd.back()->stream.closed) << i;
  }
  TestClient refused;
  ASSERT_TRUE(refused.connect(server.legacy_listener()));
  EXPECT_EQ(text_of(refused.stream.take_sent()), "ERR busy the control server has no room for another connection\n");
  EXPECT_TRUE(refused.stream.closed);
  TestClient other;
  ASSERT_TRUE(other.connect(server));
  other.hello();
  refused.stream.settle();
  // Those that say nothing make room in time; the others stay.
  EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
  machine.advance_ns(kHelloTimeoutNs);
  EXPECT_FALSE(client.stream.closed);
  EXPECT_FALSE(other.stream.closed);
  std::size_t closed = 0;
  for (const auto& each : crowd) {
    closed += each->stream.closed ? 1 : 0;
    EXPECT_EQ(text_of(each->stream.take_sent()),
              each->stream.closed ? "ERR unauthenticated no token was accepted within 30 seconds\n" : "");
    each->stream.disconnect();
  }
  EXPECT_EQ(closed, kMaxLegacyConnections - 1);
  other.stream.disconnect();
}

TEST_F(Version0Test, what_was_done_and_refused_is_in_the_audit_log) {
  const std::uint64_t before = machine.audit.count();
  EXPECT_EQ(ask(Legacy::CreateGraph), "OK GRAPH name=v0\n");
  EXPECT_TRUE(ask(Legacy::AddChannel, std::uint16_t{0}).starts_with("ERR bad-argument"));
  std::vector<std::string> records;
  for (std::uint64_t i = before; i < machine.audit.count(); ++i) {
    const auto& record = machine.audit.at(i + 1).record;
    records.push_back(std::string(abi::audit::to_string(static_cast<security::Event>(record.event))) + " " +
                      record.operation + " " + record.code + " " + std::to_string(record.rights));
  }
  EXPECT_EQ(records, (std::vector<std::string>{"token-accepted   7", "call-done CreateGraph  7", "token-accepted   7",
                                               "call-refused AddChannel bad-argument 7"}));
}

}  // namespace
}  // namespace guest::control::testing
