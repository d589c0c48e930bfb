// What connections leave in the audit log.
#include <gmock/gmock.h>

#include "guest/shell/shell.hpp"
#include "test_client.hpp"

namespace guest::control::testing {
namespace {

using ::testing::ElementsAre;

class AuditTest : public ServerTest {
 protected:
  AuditTest() { machine.services.shell = &shell; }
  /// Records since the last call: "event op code".
  std::vector<std::string> records() {
    std::vector<std::string> all;
    for (; seen < machine.audit.count(); ++seen) {
      const auto& record = machine.audit.at(seen + 1).record;
      all.push_back(std::string(abi::audit::to_string(static_cast<security::Event>(record.event))) + " " +
                    record.operation + " " + record.code);
    }
    return all;
  }
  [[nodiscard]] const abi::audit::Record& newest() const { return machine.audit.at(machine.audit.count()).record; }
  std::uint64_t seen = 0;
  shell::Shell shell{machine.services, nullptr, nullptr};
};

TEST_F(AuditTest, tokens_are_recorded_accepted_or_not) {
  refusal(request(Wire::Hello, 1, {{"token", binary(make_token(Rights::All, 1))}}));
  EXPECT_EQ(newest().token, 0U);  // nobody yet
  refusal(request(Wire::Hello, 1, {{"tokn", 1}}));
  client.hello(Rights::Submit);
  EXPECT_THAT(records(),
              ElementsAre("token-refused  token-expired", "token-refused  unknown-argument", "token-accepted  "));
  EXPECT_EQ(newest().token, 7U);
  EXPECT_EQ(newest().rights, 2U);
  EXPECT_EQ(newest().connection, 1U);
}

TEST_F(AuditTest, calls_with_submit_or_admin_are_recorded_and_others_only_if_refused) {
  client.hello();
  records();
  client.ask(call(2, "info"));
  client.ask(call(3, "log"));
  client.ask(call(4, "ping", {{"x", 1}}));
  client.ask(call(5, "nonsense"));
  client.ask(call(6, "log", {{"level", "loud"}}));
  client.ask(request(Wire::Cancel, 7, {{"id", 1}}));
  client.ask(RawFrame{.flags = 1, .payload = payload_of(8, {{"op", "ping"}})}.bytes());
  EXPECT_THAT(records(),
              ElementsAre("call-done log ", "call-refused ping unknown-argument", "call-refused  unknown-op",
                          "call-refused log bad-argument", "call-refused  not-found", "call-refused  malformed-frame"));
}

TEST_F(AuditTest, nothing_of_what_a_request_says_is_recorded) {
  client.hello();
  const Bytes asked = call(2, "log", {{"level", "a-secret-prompt"}});
  client.ask(asked);
  EXPECT_EQ(newest().bytes, asked.size() - 8);
  const auto* const bytes = reinterpret_cast<const char*>(&newest());
  EXPECT_EQ(std::string_view(bytes, sizeof(abi::audit::Record)).find("secret"), std::string_view::npos);
}

TEST_F(AuditTest, call_that_waits_is_recorded_when_it_ends_however_that_comes) {
  client.hello();
  records();
  client.send(call(2, "sleep", {{"ms", 1}}));
  client.send(call(3, "sleep", {{"ms", 1000}}));
  client.send(call(4, "sleep", {{"ms", 1000}}));
  client.send(call(5, "top"));
  EXPECT_THAT(records(), ElementsAre());
  machine.advance_ns(1'000'000);
  client.send(request(Wire::Cancel, 6, {{"id", 3}}));
  client.send(request(Wire::Cancel, 7, {{"id", 5}}));
  client.stream.disconnect();
  EXPECT_THAT(records(),
              ElementsAre("call-done sleep ", "call-refused sleep cancelled", "call-refused sleep cancelled"));
}

TEST_F(AuditTest, commands_of_a_shell_line_are_recorded_one_by_one) {
  client.hello(Rights::Submit);
  records();
  client.send(call(2, "shell", {{"line", "echo a; sleep 1; log; nonsense; shell"}}));
  machine.advance_ns(1'000'000);
  ASSERT_EQ(client.answer().command, Wire::Reply);
  EXPECT_THAT(records(), ElementsAre("call-done sleep ", "call-refused log forbidden", "call-refused  unknown-op",
                                     "call-refused shell unknown-op"));
  EXPECT_EQ(newest().connection, 1U);
  EXPECT_EQ(newest().token, 7U);
  EXPECT_EQ(newest().bytes, 5U);
}

TEST_F(AuditTest, console_is_connection_0) {
  shell.start("log");
  EXPECT_THAT(records(), ElementsAre("call-done log "));
  EXPECT_EQ(newest().connection, 0U);
  EXPECT_EQ(newest().rights, 7U);
}

TEST_F(AuditTest, revoked_token_is_named_where_it_is_refused) {
  client.hello();
  client.send(call(2, "sleep", {{"ms", 1000}}));
  ASSERT_TRUE(machine.authority.revoke(7, machine.services.unix_now_ns()));
  records();
  refusal(call(3, "info"));
  EXPECT_EQ(newest().token, 7U);
  machine.run();
  EXPECT_THAT(records(), ElementsAre("call-refused  token-revoked", "call-refused sleep cancelled"));
  client.answers();
}

TEST_F(AuditTest, watch_follows_the_log) {
  client.hello();
  client.send(call(2, "watch audit", {{"count", 3}}));
  machine.run();
  client.ask(call(3, "log"));
  machine.run();
  const Answer event = client.answer();
  EXPECT_EQ(event.command, Wire::Event);
  ASSERT_EQ(event.body["records"].size(), 1U);
  EXPECT_EQ(event.body["records"][0]["op"], "log");
  client.ask(call(4, "log"));
  machine.run();
  EXPECT_EQ(client.answer().body["before"], event.body["records"][0]["hash"]);
  client.ask(call(5, "log"));
  machine.run();
  const auto last = client.answers();
  ASSERT_EQ(last.size(), 2U);
  EXPECT_EQ(last[0].body["records"].size(), 1U);
  EXPECT_EQ(last[1].body["result"]["events"], 3);
}

TEST_F(AuditTest, watch_begins_where_it_is_told) {
  client.hello();
  for (int i = 0; i < 20; ++i) {
    client.ask(call(2, "log"));
  }
  client.send(call(3, "watch audit", {{"from", 3}, {"count", 19}}));
  machine.run();
  const auto events = client.answers();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].body["records"].size(), 16U);
  EXPECT_EQ(events[0].body["records"][0]["sequence"], 3);
  EXPECT_EQ(events[1].body["records"].size(), 3U);
  EXPECT_EQ(events[1].body["before"], events[0].body["records"][15]["hash"]);
  const Answer beyond = client.ask(call(4, "watch audit", {{"from", 99}}));
  EXPECT_EQ(beyond.code(), "bad-argument");
  EXPECT_EQ(beyond.body["message"], "99 is beyond the next record, allowed: 1 to 23");
}

TEST_F(AuditTest, watch_has_the_last_record_before_the_power_goes) {
  client.hello();
  client.send(call(2, "watch audit"));
  machine.run();
  client.answers();
  shell.start("shutdown");
  const auto events = client.answers();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].body["records"][0]["op"], "shutdown");
  EXPECT_EQ(machine.power.events, std::vector<std::string>{"off 0"});
}

TEST_F(AuditTest, watch_says_how_many_records_it_has_missed) {
  client.hello();
  client.send(call(2, "watch audit"));
  for (std::size_t i = 0; i < security::AuditLog::kCapacity + 9; ++i) {
    machine.audit.add({});
  }
  machine.run();
  const auto events = client.answers();
  ASSERT_EQ(events.size(), security::AuditLog::kCapacity / 16);
  EXPECT_EQ(events[0].body["lost"], 9);
}

/// Beside the client another one, which must have every record and reads none for now.
class WholeAuditTest : public AuditTest {
 protected:
  static constexpr std::size_t kMany = security::AuditLog::kCapacity * 2;

  void SetUp() override {
    AuditTest::SetUp();
    client.hello();
    ASSERT_TRUE(follower.connect(server));
    follower.hello();
    follower.stream.set_room(0);
    follower.send(call(2, "watch audit", {{"from", 1}, {"whole", true}}));
    machine.run();
  }
  void TearDown() override {
    follower.stream.disconnect();
    AuditTest::TearDown();
  }
  /// Sends so many calls, each of which leaves a record.
  static void send_calls(TestClient& to, std::size_t count) {
    Bytes all;
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes one = call(static_cast<std::uint32_t>(100 + i), "log");
      all.insert(all.end(), one.begin(), one.end());
    }
    to.send(all);
  }
  /// Takes what the follower has been sent; the records lost by that.
  std::uint64_t read_follower() {
    std::uint64_t lost = 0;
    for (const Answer& event : follower.answers()) {
      lost += event.body.value("lost", 0U);
      for (const json& record : event.body["records"]) {
        followed.push_back(record["sequence"]);
        last_op = record["op"];
      }
    }
    return lost;
  }
  TestClient follower;
  std::vector<std::uint64_t> followed;
  std::string last_op;
};

TEST_F(WholeAuditTest, requests_wait_for_who_must_have_every_record) {
  send_calls(client, kMany);
  machine.run();
  const std::size_t before = client.answers().size();
  EXPECT_GT(before, security::AuditLog::kCapacity / 4);
  EXPECT_LT(before, security::AuditLog::kCapacity);
  follower.stream.grant(std::size_t{1} << 30);
  machine.advance_ns(1'000'000'000);
  EXPECT_EQ(before + client.answers().size(), kMany);
  EXPECT_EQ(read_follower(), 0U);
  EXPECT_EQ(followed.size(), machine.audit.count());
  EXPECT_EQ(followed.back(), machine.audit.count());
}

TEST_F(WholeAuditTest, nobody_waits_for_one_that_is_stuck) {
  send_calls(client, kMany);
  machine.run();
  machine.advance_ns(1'900'000'000);
  const std::size_t before = client.answers().size();
  EXPECT_LT(before, kMany);
  machine.advance_ns(200'000'000);
  EXPECT_EQ(before + client.answers().size(), kMany);
  follower.stream.grant(std::size_t{1} << 30);
  machine.run();
  EXPECT_GT(read_follower(), 0U);
}

TEST_F(WholeAuditTest, who_waits_has_a_turn_after_another_one) {
  TestClient other;
  ASSERT_TRUE(other.connect(server));
  other.hello();
  send_calls(client, kMany);
  machine.run();
  client.answers();
  send_calls(other, 1);
  machine.run();
  EXPECT_EQ(other.answers().size(), 0U);
  while (other.answers().empty()) {
    follower.stream.grant(8192);
    machine.advance_ns(10'000'000);
    ASSERT_NE(client.stream.unread(), 0U) << "all of the first one's were taken before";
  }
  other.stream.disconnect();
}

TEST_F(WholeAuditTest, power_goes_when_it_has_the_last_record) {
  send_calls(client, 200);
  client.send(call(3, "shutdown"));
  machine.run();
  client.stream.disconnect();
  machine.advance_ns(1'000'000'000);
  EXPECT_TRUE(machine.power.events.empty());
  follower.stream.grant(std::size_t{1} << 30);
  machine.advance_ns(10'000'000);
  EXPECT_EQ(machine.power.events, std::vector<std::string>{"off 0"});
  EXPECT_EQ(read_follower(), 0U);
  EXPECT_EQ(last_op, "shutdown");
}

TEST_F(WholeAuditTest, power_does_not_wait_for_one_that_is_stuck) {
  send_calls(client, 200);
  client.send(call(3, "shutdown"));
  machine.run();
  client.stream.disconnect();
  machine.advance_ns(2'100'000'000);
  EXPECT_EQ(machine.power.events, std::vector<std::string>{"off 0"});
}

TEST_F(AuditTest, nobody_waits_for_who_has_not_asked_for_that) {
  client.hello();
  client.stream.set_room(std::size_t{1} << 20);
  TestClient slow;
  ASSERT_TRUE(slow.connect(server));
  slow.hello();
  slow.stream.set_room(0);
  slow.send(call(2, "watch audit"));
  for (std::uint32_t i = 0; i < 600; ++i) {
    client.send(call(3 + i, "log"));
  }
  machine.run();
  EXPECT_EQ(client.answers().size(), 600U);
  slow.stream.disconnect();
}

TEST_F(AuditTest, submit_holder_gets_nowhere_near_admin) {
  client.hello(Rights::Submit);
  for (const char* op : {"ctlkey", "ctladmin", "ctlsubmit", "audit", "watch audit", "token list"}) {
    EXPECT_EQ(refusal(call(2, op)).first, "forbidden") << op;
  }
  EXPECT_EQ(refusal(call(2, "token revoke", {{"id", 1}})).first, "forbidden");
  EXPECT_EQ(refusal(call(2, "ctlembed", {{"right", "submit"}})).first, "forbidden");
  EXPECT_EQ(refusal(call(2, "ctlhex", {{"hex", "00"}})).first, "forbidden");
  using Refused = std::pair<std::string, std::string>;
  EXPECT_EQ(refusal(call(2, "token new", {{"rights", "submit,admin"}})), (Refused{"forbidden", "rights"}));
  EXPECT_EQ(refusal(call(2, "token new", {{"rights", "observe"}})), (Refused{"forbidden", "rights"}));
  EXPECT_EQ(client.ask(call(2, "token new", {{"rights", "submit"}})).command, Wire::Reply);
}

TEST_F(AuditTest, rotation_answers_who_asked_and_then_revokes_him_too) {
  TestClient other;
  ASSERT_TRUE(other.connect(server));
  other.hello();
  client.hello();
  const Answer rotated = client.ask(call(2, "ctlkey", {{"action", "rotate"}}));
  ASSERT_EQ(rotated.command, Wire::Reply);
  EXPECT_EQ(refusal(call(3, "ping")).first, "token-revoked");
  EXPECT_EQ(other.ask(call(3, "ping")).code(), "token-revoked");
  other.stream.disconnect();
}

}  // namespace
}  // namespace guest::control::testing
