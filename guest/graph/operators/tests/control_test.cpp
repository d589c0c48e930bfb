// control-source and control-sink.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "guest/graph/operators/control.hpp"
#include "guest/kernel/host_cpu.hpp"
#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string text_of(const TensorRef& tensor) {
  const auto chars = KindFixture::values<char>(tensor);
  return {chars.begin(), chars.end()};
}
std::string outcome(const kernel::Outcome& of) {
  return of ? "ok" : std::string(of.error().name) + ": " + std::string(of.error().detail.view());
}

TEST(ControlSource, sleeps_until_it_is_fed_and_sends_what_it_was_fed) {
  KindFixture with("control-source", {{"max_bytes", "5"}}, 0, 1);
  ControlFeed* const feed = control_feed(*with.op);
  ASSERT_NE(feed, nullptr);
  EXPECT_EQ(with.op->code().ready_at(7), OperatorCode::kAsleep);
  EXPECT_EQ(outcome(feed->feed(as_bytes("one"))), "ok");
  EXPECT_EQ(outcome(feed->feed({})), "ok");
  EXPECT_EQ(with.op->code().ready_at(7), OperatorCode::kNow);
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(text_of(with.take()), "one");
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(KindFixture::dims(with.take()), (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(with.op->code().ready_at(7), OperatorCode::kAsleep);
  EXPECT_EQ(with.graph->arena().statistics().bytes_copied, 3U);
}

TEST(ControlSource, refuses_what_has_no_room_or_no_size_or_comes_after_the_end) {
  KindFixture with("control-source", {{"depth", "2"}, {"max_bytes", "8"}, {"dtype", "i32"}}, 0, 1);
  ControlFeed& feed = *control_feed(*with.op);
  EXPECT_EQ(outcome(feed.feed(as_bytes("12345"))),
            "graph-feed-bad-size: 5 bytes: expected at most 8, in elements of i32");
  EXPECT_EQ(outcome(feed.feed(as_bytes("123456789abc"))),
            "graph-feed-bad-size: 12 bytes: expected at most 8, in elements of i32");
  EXPECT_EQ(outcome(feed.feed(as_bytes("1234"))), "ok");
  EXPECT_EQ(outcome(feed.feed(as_bytes("12345678"))), "ok");
  EXPECT_EQ(outcome(feed.feed(as_bytes("1234"))), "graph-feed-full: 2 tensors wait already");
  feed.end();
  EXPECT_EQ(outcome(feed.feed(as_bytes("1234"))), "graph-feed-ended: the end has been said already");
  const ControlFeed::State state = feed.state();
  EXPECT_EQ(state.queued, 2U);
  EXPECT_EQ(state.capacity, 2U);
  EXPECT_EQ(state.refused, 1U);
  EXPECT_TRUE(state.ended);
}

TEST(ControlSource, finishes_when_the_end_was_said_and_all_is_sent_and_can_be_fed_again) {
  KindFixture with("control-source", {}, 0, 1);
  ControlFeed& feed = *control_feed(*with.op);
  EXPECT_EQ(outcome(feed.feed(as_bytes("last"))), "ok");
  feed.end();
  with.op->code().begin(with.now_ns);  // what was fed before a run is of the run
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(text_of(with.take()), "last");
  EXPECT_EQ(with.op->code().ready_at(7), OperatorCode::kNow);
  EXPECT_EQ(with.fire(), "finished");
  EXPECT_FALSE(with.take());
  EXPECT_EQ(with.op->code().ready_at(7), OperatorCode::kAsleep);
  EXPECT_EQ(outcome(feed.feed(as_bytes("more"))), "ok");
}

TEST(ControlSource, needs_a_depth_that_is_a_power_of_two) {
  EXPECT_EQ(KindFixture("control-source", {{"depth", "3"}}, 0, 1).refusal,
            "graph-bad-parameter: operator 'it' (control-source): parameter 'depth' is 3: expected a power of two");
}

TEST(ControlSource, loses_nothing_between_two_threads) {
  constexpr std::uint32_t kCount = 5000;
  KindFixture with("control-source", {{"depth", "4"}, {"dtype", "u32"}}, 0, 1);
  ControlFeed& feed = *control_feed(*with.op);
  std::thread feeder([&] {
    const kernel::HostCpu identity(1);
    for (std::uint32_t i = 0; i < kCount;) {
      if (feed.state().queued == feed.state().capacity) {
        std::this_thread::yield();
        continue;
      }
      i += feed.feed(std::as_bytes(std::span(&i, 1))) ? 1 : 0;
    }
    feed.end();
  });
  std::uint32_t expected = 0;
  for (std::string fired = "ok"; fired != "finished";) {
    if (with.op->code().ready_at(0) != OperatorCode::kNow) {
      std::this_thread::yield();
    } else {
      fired = with.fire();
      if (const TensorRef made = with.take()) {
        ASSERT_EQ(KindFixture::values<std::uint32_t>(made), (std::vector<std::uint32_t>{expected}));
        ++expected;
      }
    }
  }
  feeder.join();
  EXPECT_EQ(expected, kCount);
}

TEST(ControlSink, keeps_the_newest_and_says_what_was_lost) {
  KindFixture with("control-sink", {{"keep", "3"}}, 1, 0);
  ControlTap* const tap = control_tap(*with.op);
  ASSERT_NE(tap, nullptr);
  EXPECT_FALSE(tap->take().tensor);
  for (std::uint8_t i = 0; i < 5; ++i) {
    with.put(0, with.bytes({1}, {i}));
    ASSERT_EQ(with.fire(), "ok");
  }
  EXPECT_EQ(with.graph->arena().statistics().live, 3U);
  const ControlTap::State state = tap->state();
  EXPECT_EQ(state.kept, 3U);
  EXPECT_EQ(state.received, 5U);
  EXPECT_EQ(state.lost, 2U);
  for (std::uint8_t i = 2; i < 5; ++i) {
    const ControlTap::Taken taken = tap->take();
    EXPECT_EQ(KindFixture::values<std::uint8_t>(taken.tensor), (std::vector<std::uint8_t>{i}));
    EXPECT_EQ(taken.index, i);
    EXPECT_EQ(taken.lost, i == 2 ? 2U : 0U);
  }
  EXPECT_FALSE(tap->take().tensor);
  EXPECT_EQ(with.graph->arena().statistics().live, 0U);
}

TEST(ControlSink, forgets_the_last_run_when_one_begins) {
  KindFixture with("control-sink", {{"keep", "1"}}, 1, 0);
  for (std::uint8_t i = 0; i < 2; ++i) {
    with.put(0, with.bytes({1}, {i}));
    ASSERT_EQ(with.fire(), "ok");
  }
  with.op->code().begin(0);
  EXPECT_EQ(with.graph->arena().statistics().live, 0U);
  EXPECT_EQ(control_tap(*with.op)->state().received, 0U);
  EXPECT_EQ(control_tap(*with.op)->take().lost, 0U);
}

TEST(ControlSink, gives_each_tensor_to_one_taker_while_more_come) {
  KindFixture with("control-sink", {{"keep", "4"}}, 1, 0);
  ControlTap& tap = *control_tap(*with.op);
  std::atomic<bool> done{false};
  std::uint64_t taken = 0;
  std::uint64_t lost = 0;
  std::thread taker([&] {
    const kernel::HostCpu identity(1);
    for (bool last = false; !last;) {
      last = done.load();  // before the takes: what was there then is taken
      for (ControlTap::Taken got = tap.take(); got.tensor; got = tap.take()) {
        ++taken;
        lost += got.lost;
      }
    }
  });
  for (std::uint32_t i = 0; i < 1000; ++i) {
    with.put(0, with.bytes({1}, {1}));
    ASSERT_EQ(with.fire(), "ok");
  }
  done = true;
  taker.join();
  EXPECT_EQ(taken + lost, 1000U);
  EXPECT_EQ(with.graph->arena().statistics().live, 0U);
}

TEST(ControlSink, tells_one_listener_that_a_tensor_has_come) {
  static unsigned told = 0;
  static kernel::WorkItem item([](void*) { ++told; }, nullptr);
  static kernel::WorkItem other([](void*) { FAIL(); }, nullptr);
  const auto run = [] {
    while (kernel::work_queue().run_one()) {
    }
  };
  KindFixture with("control-sink", {}, 1, 0);
  ControlTap& tap = *control_tap(*with.op);
  const auto fire = [&] {
    with.put(0, with.bytes({1}, {1}));
    ASSERT_EQ(with.fire(), "ok");
  };
  fire();
  EXPECT_TRUE(tap.listen(item));
  EXPECT_FALSE(tap.listen(other));
  run();
  EXPECT_EQ(told, 0U);  // of what comes from now on
  fire();
  fire();
  run();
  EXPECT_EQ(told, 1U);  // both had come when it ran
  tap.unlisten();
  fire();
  run();
  EXPECT_EQ(told, 1U);
  EXPECT_TRUE(tap.listen(item));
}

TEST(ControlKinds, are_found_by_their_kind_only) {
  KindFixture source("control-source", {}, 0, 1);
  KindFixture sink("control-sink", {}, 1, 0);
  EXPECT_EQ(control_feed(*sink.op), nullptr);
  EXPECT_EQ(control_tap(*source.op), nullptr);
}

}  // namespace
}  // namespace guest::graph
