// Calls that send events: when they come, what a reader that is slow or gone makes of them, how they end.
#include "../src/subscription.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "command_fixture.hpp"
#include "test_client.hpp"

namespace guest::control::testing {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

/// Says how often its time has come.
class TickWatch final : public Subscription {
 public:
  TickWatch(Services& services, const Limits& limits, unsigned& alive) : Subscription(services, limits), alive_(alive) {
    ++alive_;
  }
  ~TickWatch() override { --alive_; }
  void end() { end_as_gone(); }
  unsigned ended = 0;

 private:
  void on_turn(bool due) override {
    if (due) {
      ++ticks_;
      send([&](ResultMap& event) { event.add("tick", ticks_); });
    }
  }
  void on_end() override { ++ended; }
  unsigned& alive_;
  std::uint64_t ticks_ = 0;
};

class TickTest : public ::testing::Test {
 protected:
  ~TickTest() override {
    if (caller.operation != nullptr) {
      caller.operation->cancel();
    }
    machine.run();
    EXPECT_EQ(alive, 0U);
  }
  TickWatch& start(std::uint64_t count) {
    auto* const watch = new TickWatch(machine.services, {.interval_ns = 10 * kMs, .count = count}, alive);
    watch->start(caller);
    machine.run();
    return *watch;
  }
  FakeMachine machine;
  LaterCaller caller;
  unsigned alive = 0;
};

TEST_F(TickTest, the_first_event_comes_at_once_and_the_others_in_step) {
  start(Subscription::kEndless);
  EXPECT_EQ(caller.events.size(), 1U);
  machine.advance_ns(10 * kMs - 1);
  EXPECT_EQ(caller.events.size(), 1U);
  machine.advance_ns(1);
  EXPECT_EQ(caller.events.size(), 2U);
  machine.advance_ns(100 * kMs);
  EXPECT_EQ(caller.events.size(), 12U);
  EXPECT_EQ(caller.events.back(), json({{"tick", 12}}));
  EXPECT_TRUE(caller.answer.is_null());
}

TEST_F(TickTest, it_ends_after_as_many_as_were_asked_for) {
  start(3);
  machine.advance_ns(30 * kMs);
  EXPECT_EQ(caller.events.size(), 3U);
  EXPECT_EQ(caller.answer, json({{"events", 3}, {"lost", 0}, {"end", "count"}}));
  EXPECT_EQ(alive, 0U);
}

TEST_F(TickTest, what_finds_no_room_is_lost_and_the_next_event_says_so) {
  start(3);
  caller.room = false;
  machine.advance_ns(40 * kMs);
  caller.room = true;
  machine.advance_ns(20 * kMs);
  EXPECT_EQ(json(caller.events), json::array({{{"tick", 1}}, {{"lost", 4}, {"tick", 6}}, {{"tick", 7}}}));
  EXPECT_EQ(caller.answer, json({{"events", 3}, {"lost", 4}, {"end", "count"}}));
}

TEST_F(TickTest, nothing_comes_after_it_was_cancelled) {
  start(Subscription::kEndless);
  std::exchange(caller.operation, nullptr)->cancel();
  machine.advance_ns(100 * kMs);
  EXPECT_EQ(caller.events.size(), 1U);
  EXPECT_TRUE(caller.answer.is_null());
  EXPECT_EQ(alive, 0U);
}

TEST_F(TickTest, it_answers_when_what_it_follows_is_gone) {
  TickWatch& watch = start(Subscription::kEndless);
  watch.end();
  EXPECT_TRUE(caller.answer.is_null());  // not from within whoever says so
  machine.run();
  EXPECT_EQ(caller.answer, json({{"events", 1}, {"lost", 0}, {"end", "gone"}}));
}

TEST_F(TickTest, what_is_gone_and_cancelled_does_not_answer) {
  TickWatch& watch = start(Subscription::kEndless);
  watch.end();
  std::exchange(caller.operation, nullptr)->cancel();
  EXPECT_EQ(watch.ended, 1U);
  machine.run();
  EXPECT_TRUE(caller.answer.is_null());
}

class WatchTraceTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    client.hello();
    ASSERT_TRUE(machine.trace.reserve(machine.pages, machine.timer, 1));
    // Without the calls that the tests make.
    machine.trace.record_groups(abi::trace::kAllGroups & ~bit(abi::trace::Group::Control));
  }
  void record(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      machine.trace.record(kernel::TraceType::InterruptEnter, recorded_++);
    }
  }
  void interval() { machine.advance_ns(100 * kMs); }
  /// Numbers of the events of the trace that an Event holds.
  static std::vector<unsigned> numbers(const Answer& event) {
    std::vector<unsigned> found;
    for (const json& each : event.body.at("events")) {
      found.push_back(each.at("intid").get<unsigned>());
    }
    return found;
  }

 private:
  unsigned recorded_ = 0;
};

TEST_F(WatchTraceTest, events_come_between_the_answers_of_other_calls) {
  client.send(call(5, "watch trace"));
  machine.run();
  EXPECT_TRUE(client.answers().empty());
  record(2);
  client.send(call(6, "ping"));
  interval();
  client.send(call(7, "ping"));
  record(1);
  interval();
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers[0].id, 6U);
  EXPECT_EQ(answers[1].command, Wire::Event);
  EXPECT_EQ(answers[1].id, 5U);
  EXPECT_EQ(numbers(answers[1]), (std::vector<unsigned>{0, 1}));
  EXPECT_EQ(answers[1].body["events"][0],
            json({{"time_ns", machine.timer.now - 200 * kMs}, {"cpu", 0}, {"event", "irq-enter"}, {"intid", 0}}));
  EXPECT_EQ(answers[2].id, 7U);
  EXPECT_EQ(numbers(answers[3]), std::vector<unsigned>{2});
  EXPECT_EQ(machine.counter("control_events"), 2U);
}

TEST_F(WatchTraceTest, count_ends_it_with_a_reply) {
  client.send(call(5, "watch trace", {{"count", 70}, {"interval_ms", 10}}));
  machine.run();
  record(100);
  machine.advance_ns(10 * kMs);
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(numbers(answers[0]).size(), 64U);
  EXPECT_EQ(numbers(answers[1]).size(), 6U);
  EXPECT_EQ(answers[2].command, Wire::Reply);
  EXPECT_EQ(answers[2].body["result"], json({{"events", 70}, {"lost", 0}, {"end", "count"}}));
  EXPECT_EQ(client.ask(request(Wire::Cancel, 6, {{"id", 5}})).code(), "not-found");
}

TEST_F(WatchTraceTest, cancel_ends_it) {
  client.send(call(5, "watch trace"));
  record(1);
  interval();
  ASSERT_EQ(client.answer().command, Wire::Event);
  client.send(request(Wire::Cancel, 6, {{"id", 5}}));
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].id, 5U);
  EXPECT_EQ(answers[0].code(), "cancelled");
  EXPECT_EQ(answers[1].command, Wire::Reply);
  record(1);
  interval();
  EXPECT_TRUE(client.answers().empty());
  client.send(call(5, "ping"));  // the id is free again
  EXPECT_EQ(client.answer().command, Wire::Reply);
}

TEST_F(WatchTraceTest, end_of_the_connection_ends_it) {
  client.send(call(5, "watch trace"));
  machine.run();
  record(10);
  client.stream.disconnect();
  interval();
  EXPECT_EQ(machine.counter("control_unanswered"), 1U);
  EXPECT_EQ(machine.counter("control_events"), 0U);
}

TEST_F(WatchTraceTest, peer_that_ends_its_sending_side_gets_the_events) {
  client.send(call(5, "watch trace", {{"count", 2}}));
  client.stream.end_sending();
  record(2);
  interval();
  EXPECT_EQ(client.answers().size(), 2U);
  EXPECT_TRUE(client.stream.closed);
}

TEST_F(WatchTraceTest, connection_that_closes_sends_no_more_events) {
  client.send(call(5, "watch trace"));
  machine.run();
  client.stream.set_room(0);
  client.send(RawFrame{.magic = 'X', .payload = {0, 0, 0, 0}}.bytes());
  record(10);
  interval();
  client.stream.grant(100'000);
  EXPECT_EQ(client.answer().code(), "malformed-frame");
  EXPECT_TRUE(client.stream.closed);
}

TEST_F(WatchTraceTest, peer_that_does_not_read_loses_events_and_no_answer) {
  client.send(call(5, "watch trace"));
  machine.run();
  client.stream.set_room(0);
  constexpr unsigned kRecorded = 20'000;
  for (unsigned i = 0; i < kRecorded / 100; ++i) {
    record(100);
    interval();
  }
  for (std::uint32_t id = 100; id < 200; ++id) {
    client.send(call(id, "ping", {{"payload", std::string(100, 'p')}}));
  }
  machine.run();
  EXPECT_EQ(client.stream.unread(), 0U);  // events leave room for them
  client.stream.grant(1'000'000'000);
  // All that was kept for it.
  std::vector<Answer> answers = client.answers(kMaxPendingOutput);
  machine.run();
  std::ranges::move(client.answers(), std::back_inserter(answers));
  std::uint32_t next_ping = 100;
  unsigned seen = 0;
  std::uint64_t lost = 0;
  for (const Answer& answer : answers) {
    if (answer.command == Wire::Reply) {
      EXPECT_EQ(answer.id, next_ping++);
      continue;
    }
    lost += answer.body.value("lost", std::uint64_t{0});
    for (const unsigned number : numbers(answer)) {
      EXPECT_EQ(number, seen + lost);
      ++seen;
    }
  }
  EXPECT_EQ(next_ping, 200U);
  EXPECT_EQ(seen + lost, kRecorded);
  EXPECT_GE(seen, kernel::Trace::kEvents);  // what the ring has kept comes when there is room
  EXPECT_GT(lost, 10'000U);
}

TEST_F(WatchTraceTest, events_take_at_most_half_of_the_output) {
  client.send(call(5, "watch trace"));
  machine.run();
  client.stream.set_room(0);
  record(4000);
  interval();
  client.stream.set_room(kMaxPendingOutput);
  client.stream.grant(1);
  // What had been waiting is out; what was too much then follows in the next turn.
  const std::size_t sent = client.stream.take_sent().size();
  EXPECT_GE(sent, kMaxEventOutput);
  EXPECT_LT(sent, kMaxEventOutput + 10'000);
}

TEST_F(WatchTraceTest, calls_that_wait_are_limited) {
  for (std::uint32_t id = 100; id < 100 + kMaxPendingCalls; ++id) {
    client.send(call(id, "watch trace", {{"count", 1}}));
  }
  EXPECT_TRUE(client.answers().empty());
  EXPECT_EQ(client.ask(call(5, "ping")).code(), "busy");
  record(1);
  interval();
  EXPECT_EQ(client.answers().size(), 2 * kMaxPendingCalls);
  EXPECT_EQ(client.ask(call(5, "ping")).command, Wire::Reply);
}

/// The records that an Event holds.
std::vector<abi::trace::Record> records_of(const Answer& event) {
  const auto& bytes = event.body.at("records").get_binary();
  std::vector<abi::trace::Record> found(bytes.size() / sizeof(abi::trace::Record));
  EXPECT_EQ(bytes.size() % sizeof(abi::trace::Record), 0U);
  std::memcpy(found.data(), bytes.data(), found.size() * sizeof(abi::trace::Record));
  return found;
}

TEST_F(WatchTraceTest, raw_from_the_start_gives_records_of_all_that_is_kept) {
  record(kernel::Trace::kEvents + 3);
  client.send(call(5, "watch trace", {{"raw", true}, {"from_start", true}, {"count", kernel::Trace::kEvents}}));
  machine.run();
  client.stream.grant(1'000'000'000);
  const auto answers = client.answers();
  ASSERT_GE(answers.size(), 2U);
  unsigned next = 3;
  for (const Answer& answer : answers) {
    if (answer.command != Wire::Event) {
      continue;
    }
    EXPECT_EQ(answer.body["lost"], 3);  // in all, each time
    EXPECT_EQ(answer.body["lost_by_cpu"], json::array({3}));
    EXPECT_FALSE(answer.body.contains("frozen"));
    for (const abi::trace::Record& each : records_of(answer)) {
      EXPECT_EQ(each.argument0, next++);
      EXPECT_EQ(each.type, static_cast<std::uint16_t>(kernel::TraceType::InterruptEnter));
      EXPECT_EQ(each.time_ns, machine.timer.now);
    }
  }
  EXPECT_EQ(next, kernel::Trace::kEvents + 3);
  EXPECT_EQ(answers.back().body["result"], json({{"events", kernel::Trace::kEvents}, {"lost", 3}, {"end", "count"}}));
}

TEST_F(WatchTraceTest, a_frozen_trace_is_read_to_its_end_and_no_further) {
  record(1500);
  machine.trace.freeze();
  client.send(call(5, "watch trace", {{"raw", true}, {"from_start", true}}));
  machine.run();
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(records_of(answers[0]).size(), 1024U);
  EXPECT_FALSE(answers[0].body.contains("frozen"));
  EXPECT_EQ(records_of(answers[1]).size(), 476U);
  EXPECT_EQ(answers[1].body["frozen"], true);
  EXPECT_EQ(answers[2].body["result"], json({{"events", 1500}, {"lost", 0}, {"end", "frozen"}}));
}

TEST_F(WatchTraceTest, who_waits_is_told_that_the_trace_was_frozen) {
  client.send(call(5, "watch trace"));
  machine.run();
  record(1);
  interval();
  EXPECT_EQ(numbers(client.answer()), std::vector<unsigned>{0});
  machine.trace.freeze();
  interval();
  const auto answers = client.answers();
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].body, json({{"events", json::array()}, {"frozen", true}}));
  EXPECT_EQ(answers[1].body["result"], json({{"events", 1}, {"lost", 0}, {"end", "frozen"}}));
}

TEST_F(WatchTraceTest, names_say_what_the_numbers_mean) {
  const json names = client.ask(call(5, "trace names")).body["result"];
  EXPECT_EQ(names["ops"]["0"], command_table()[0].name);
  EXPECT_EQ(names["ops"].size(), command_table().size());
  EXPECT_EQ(names["graphs"], json::object());
  EXPECT_EQ(names["models"], json::object());
  EXPECT_TRUE(names.contains("threads") && names.contains("servers"));
  EXPECT_EQ(refusal(call(5, "trace names", {{"graph", "none"}})),
            (std::pair<std::string, std::string>("graph-unknown", "graph")));
}

/// The events of calls as "control-begin OP CALL BYTES", without those of the connection's Hello, which is none.
std::vector<std::string> calls_of(const kernel::Trace& trace) {
  std::vector<std::string> found;
  kernel::TraceFollower follower(trace, kernel::TraceFollower::From::Start);
  for (kernel::TraceEvent event{}; follower.next(event);) {
    if (group_of(event.type) != abi::trace::Group::Control) {
      continue;
    }
    const bool begin = event.type == kernel::TraceType::ControlBegin;
    found.push_back((begin ? "begin " + std::string(command_table()[event.arguments[0]].name)
                           : "end " + std::to_string(event.arguments[0])) +
                    " " + std::to_string(event.arguments[1] >> 32) + ":" +
                    std::to_string(event.arguments[1] & 0xffff'ffff));
  }
  return found;
}

TEST_F(WatchTraceTest, calls_are_in_the_trace_from_their_frame_to_their_answer) {
  machine.trace.set_on(true);
  client.send(call(5, "sleep", {{"ms", 60000}}));
  client.ask(call(6, "ping"));
  client.ask(call(7, "echo", {{"nothing", 1}}));
  client.ask(call(8, "no-such-op"));
  client.send(request(Wire::Cancel, 9, {{"id", 5}}));
  client.send(call(10, "sleep", {{"ms", 60000}}));
  client.stream.disconnect();
  machine.run();
  EXPECT_THAT(calls_of(machine.trace),
              ::testing::ElementsAre("begin sleep 1:5", "begin ping 1:6", "end 0 1:6", "begin echo 1:7", "end 1 1:7",
                                     "end 1 1:5", "begin sleep 1:10", "end 2 1:10"));
}

TEST_F(WatchTraceTest, what_cannot_be_watched_is_refused) {
  machine.trace.set_on(false);
  const Answer off = client.ask(call(5, "watch trace"));
  EXPECT_EQ(off.code(), "failed");
  EXPECT_EQ(off.message(), "the trace is off; 'trace on' begins it");
  machine.trace.set_on(true);
  EXPECT_EQ(refusal(call(5, "watch trace", {{"count", 0}})),
            (std::pair<std::string, std::string>("bad-argument", "count")));
  EXPECT_EQ(refusal(call(5, "watch trace", {{"interval_ms", 9}})),
            (std::pair<std::string, std::string>("bad-argument", "interval_ms")));
  client.hello(Rights::Observe | Rights::Submit);
  EXPECT_EQ(client.ask(call(5, "watch trace")).code(), "forbidden");
}

}  // namespace
}  // namespace guest::control::testing
