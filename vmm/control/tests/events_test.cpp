// Events of calls that have not been answered.
#include <gtest/gtest.h>

#include "connected.hpp"
#include "vmm/control/client.hpp"

namespace vmm::control {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::Connected;
using testing::FakeConnection;
using testing::in;
using testing::RawFrame;
using Kind = ClientError::Kind;

constexpr auto kRefusalCommand = static_cast<std::uint8_t>(abi::control::Command::Error);

void send_event(const FakeConnection& connection, std::uint32_t id, const json& body) {
  connection.send(
      RawFrame{.command = static_cast<std::uint8_t>(abi::control::Command::Event), .id = id, .body = body}.bytes());
}

TEST(Events, come_in_order_before_the_result_and_other_calls_are_made_meanwhile) {
  Connected connected([](FakeConnection& connection) {
    const auto watch = connection.read_request();
    send_event(connection, watch.id, {{"n", 1}});
    const auto ping = connection.read_request();
    send_event(connection, watch.id, {{"n", 2}});
    connection.reply(ping.id, {{"pong", true}});
    send_event(connection, watch.id, {{"n", 3}});
    connection.reply(watch.id, {{"events", 3}});
  });
  Client& client = connected.client;
  const auto id = client.subscribe("watch log", {{"count", 3}}, in(10s));
  ASSERT_TRUE(id);
  EXPECT_EQ(client.call("ping", json::object(), in(10s)), json({{"pong", true}}));
  for (int n = 1; n <= 3; ++n) {
    const auto next = client.next(*id, in(10s));
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_TRUE(next->is_event);
    EXPECT_EQ(next->body, json({{"n", n}}));
    EXPECT_EQ(next->dropped, 0U);
  }
  const auto result = client.next(*id, in(10s));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_FALSE(result->is_event);
  EXPECT_EQ(result->body, json({{"events", 3}}));
  EXPECT_EQ(client.next(*id, in(10s)).error().kind, Kind::BadRequest);
}

TEST(Events, wait_names_the_subscription_that_has_something) {
  Connected connected([](FakeConnection& connection) {
    const auto first = connection.read_request();
    const auto second = connection.read_request();
    send_event(connection, second.id, {{"n", 1}});
    const auto ping = connection.read_request();
    connection.reply(first.id, {{"events", 0}});
    connection.reply(ping.id, json::object());
    connection.read_request();
    connection.close();
  });
  Client& client = connected.client;
  const auto first = client.subscribe("watch log", json::object(), in(10s));
  const auto second = client.subscribe("watch trace", json::object(), in(10s));
  EXPECT_EQ(client.wait(in(10s)), *second);
  EXPECT_TRUE(client.next(*second, in(0s))->is_event);
  EXPECT_EQ(client.wait(in(10ms)).error().kind, Kind::Timeout);
  ASSERT_TRUE(client.call("ping", json::object(), in(10s)));
  EXPECT_EQ(client.wait(in(10s)), *first) << "its answer has come";
  EXPECT_FALSE(client.next(*first, in(0s))->is_event);
  ASSERT_TRUE(client.send("ping", json::object(), in(10s)));
  EXPECT_EQ(client.wait(in(10s)).error().kind, Kind::ConnectionLost);
}

TEST(Events, timeout_of_next_leaves_the_subscription_as_it_is) {
  Connected connected([](FakeConnection& connection) {
    const auto watch = connection.read_request();
    const auto ping = connection.read_request();
    send_event(connection, watch.id, {{"n", 1}});
    connection.reply(ping.id, json::object());
  });
  const auto id = connected.client.subscribe("watch log", json::object(), in(10s));
  EXPECT_EQ(connected.client.next(*id, in(10ms)).error().kind, Kind::Timeout);
  ASSERT_TRUE(connected.client.call("ping", json::object(), in(10s)));
  const auto next = connected.client.next(*id, in(10s));
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->body, json({{"n", 1}}));
}

TEST(Events, refusal_and_lost_connection_come_behind_the_events_before_them) {
  Connected connected([](FakeConnection& connection) {
    const auto refused = connection.read_request();
    const auto lost = connection.read_request();
    send_event(connection, lost.id, {{"n", 1}});
    connection.send(RawFrame{.command = kRefusalCommand,
                             .id = refused.id,
                             .body = {{"status", "error"}, {"code", "busy"}, {"message", "no"}}}
                        .bytes());
    connection.close();
  });
  const auto refused = connected.client.subscribe("watch log", json::object(), in(10s));
  const auto lost = connected.client.subscribe("watch log", json::object(), in(10s));
  EXPECT_EQ(connected.client.next(*refused, in(10s)).error().code, "busy");
  EXPECT_EQ(connected.client.next(*lost, in(10s))->body, json({{"n", 1}}));
  EXPECT_EQ(connected.client.next(*lost, in(10s)).error().kind, Kind::ConnectionLost);
}

TEST(Events, cancel_takes_both_answers_and_drops_events) {
  Connected connected([](FakeConnection& connection) {
    const auto watch = connection.read_request();
    const auto cancel = connection.read_request();
    EXPECT_EQ(cancel.command, abi::control::Command::Cancel);
    EXPECT_EQ(cancel.body, json({{"id", watch.id}}));
    send_event(connection, watch.id, {{"n", 1}});
    connection.send(RawFrame{.command = kRefusalCommand,
                             .id = watch.id,
                             .body = {{"status", "error"}, {"code", "cancelled"}, {"message", "by its client"}}}
                        .bytes());
    connection.reply(cancel.id, json::object());
    const auto ping = connection.read_request();
    connection.reply(ping.id, json::object());
  });
  const auto id = connected.client.subscribe("watch log", json::object(), in(10s));
  const auto cancelled = connected.client.cancel(*id, in(10s));
  EXPECT_TRUE(cancelled) << cancelled.error().message;
  EXPECT_EQ(connected.client.receive(*id, in(10s)).error().kind, Kind::BadRequest);  // it was taken
  EXPECT_TRUE(connected.client.call("ping", json::object(), in(10s)));
}

TEST(Events, of_a_call_and_of_one_that_was_given_up_are_dropped) {
  Connected connected([](FakeConnection& connection) {
    const auto call = connection.read_request();
    send_event(connection, call.id, {{"n", 1}});
    connection.reply(call.id, {{"events", 1}});
    const auto slow = connection.read_request();
    const auto ping = connection.read_request();
    send_event(connection, slow.id, {{"n", 2}});
    connection.reply(ping.id, json::object());
  });
  EXPECT_EQ(connected.client.call("watch log", {{"count", 1}}, in(10s)), json({{"events", 1}}));
  EXPECT_EQ(connected.client.call("watch log", json::object(), in(10ms)).error().kind, Kind::Timeout);
  EXPECT_TRUE(connected.client.call("ping", json::object(), in(10s)));
}

TEST(Events, that_nobody_takes_are_bounded_and_counted) {
  Connected connected([](FakeConnection& connection) {
    const auto watch = connection.read_request();
    const auto ping = connection.read_request();
    for (std::size_t n = 0; n < Client::kMaxKeptEvents + 5; ++n) send_event(connection, watch.id, {{"n", n}});
    connection.reply(ping.id, json::object());
  });
  const auto id = connected.client.subscribe("watch log", json::object(), in(10s));
  ASSERT_TRUE(connected.client.call("ping", json::object(), in(10s)));
  const auto first = connected.client.next(*id, in(10s));
  EXPECT_EQ(first->body, json({{"n", 0}}));
  EXPECT_EQ(first->dropped, 5U);
  for (std::size_t n = 1; n < Client::kMaxKeptEvents; ++n) {
    const auto next = connected.client.next(*id, in(10s));
    EXPECT_EQ(next->body, json({{"n", n}}));
    EXPECT_EQ(next->dropped, 0U);
  }
}

}  // namespace
}  // namespace vmm::control
