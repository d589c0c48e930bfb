// What operators do when they fire, and what is counted.
#include <gtest/gtest.h>

#include "graph_fixture.hpp"
#include "guest/kernel/page_allocator.hpp"
#include "guest/kernel/testing/arena.hpp"
#include "guest/kernel/trace.hpp"

namespace guest::graph {
namespace {

class Firings : public GraphFixture {
 protected:
  static constexpr std::uint32_t kOne[] = {1};
  static constexpr std::uint32_t kTwo[] = {2};
  Operator& add(std::string_view kind, std::span<const std::uint32_t> in, std::span<const std::uint32_t> out,
                std::uint64_t wcet_ns = 0) {
    const std::string name = "op" + std::to_string(graph->operators().size() + 1);
    EXPECT_EQ(text(graph->add_operator({.id = static_cast<std::uint32_t>(graph->operators().size() + 1),
                                        .name = name,
                                        .kind = kind,
                                        .wcet_ns = wcet_ns,
                                        .inputs = in,
                                        .outputs = out,
                                        .out_schema = out.empty() ? kUntyped : kSchemaTokens})),
              "ok");
    return *graph->find_operator(name);
  }
};

TEST_F(Firings, name_what_is_in_the_way) {
  ASSERT_EQ(channel(1, 1), "ok");
  ASSERT_EQ(channel(2, 1), "ok");
  Operator& source = add("source", {}, kOne);
  Operator& relay = add("relay", kOne, kTwo);
  EXPECT_EQ(source.obstacle().channel, nullptr);
  EXPECT_EQ(relay.obstacle().channel, graph->find_channel(1));
  EXPECT_FALSE(relay.obstacle().is_full);
  ASSERT_TRUE(fire(source, 5));
  EXPECT_EQ(source.obstacle().channel, graph->find_channel(1));
  EXPECT_TRUE(source.obstacle().is_full);
  EXPECT_EQ(relay.obstacle().channel, nullptr);
  ASSERT_TRUE(fire(relay, 6));
  ASSERT_TRUE(fire(source, 7));
  EXPECT_EQ(relay.obstacle().channel, graph->find_channel(2));
  EXPECT_TRUE(relay.obstacle().is_full);
  EXPECT_EQ(relay.obstacle().channel, graph->find_channel(2));
}

TEST_F(Firings, mark_what_they_make) {
  ASSERT_EQ(channel(1, 4), "ok");
  Operator& source = add("source", {}, kOne);
  for (std::uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(fire(source, 100 + i));
    const Received received = graph->find_channel(1)->receive();
    EXPECT_EQ(received.tensor.info().origin, 1U);
    EXPECT_EQ(received.tensor.info().sequence, i);
    EXPECT_EQ(received.tensor.info().schema, kSchemaTokens);
    EXPECT_EQ(received.tensor.info().timestamp_ns, 100 + i);
  }
}

/// The kernel's trace, with one ring that is there as long as the process.
class TracedFirings : public Firings {
 protected:
  TracedFirings() {
    using kernel::testing::Arena;
    static auto* const arena = new Arena(Arena::kAlignment, 1 << 20);
    static kernel::PageAllocator* const pages = [] {
      auto* const made = new kernel::PageAllocator(arena->map());
      const kernel::PhysRange range = arena->range();
      EXPECT_EQ(made->add_memory({&range, 1}, {}), kernel::Status::Ok);
      return made;
    }();
    EXPECT_TRUE(kernel::trace().reserve(*pages, clock, 1));
    kernel::trace().clear();
    kernel::trace().set_on(true);
    graph = make({.name = "g", .memory_bytes = 1 << 16, .tensors = 16, .id = 9});
  }
  ~TracedFirings() override { kernel::trace().set_on(false); }
  /// The events since the last call, as "op-begin 9 1 1".
  std::vector<std::string> events() {
    std::vector<std::string> found;
    for (kernel::TraceEvent event{}; follower.next(event);) {
      found.push_back(std::string(kernel::describe(event.type).name) + " " + std::to_string(event.arguments[0]) + " " +
                      std::to_string(event.arguments[1]) + " " + std::to_string(event.arguments[2]));
    }
    return found;
  }
  class StillClock final : public kernel::Clock {
    [[nodiscard]] std::uint64_t now_ns() const override { return 0; }
    [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
  };
  static inline StillClock clock;
  kernel::TraceFollower follower{kernel::trace()};
};

using Events = std::vector<std::string>;

TEST_F(TracedFirings, an_execution_is_between_its_begin_and_its_end) {
  ASSERT_EQ(channel(1, 4), "ok");
  ASSERT_EQ(channel(2, 4), "ok");
  Operator& source = add("source", {}, kOne);
  Operator& relay = add("relay", kOne, kTwo);
  ASSERT_TRUE(fire(source, 5));
  ASSERT_TRUE(fire(source, 6));
  EXPECT_EQ(events(), (Events{"op-begin 9 1 1", "channel-send 9 1 1", "op-end 9 1 0", "op-begin 9 1 2",
                              "channel-send 9 1 2", "op-end 9 1 0"}));
  ASSERT_TRUE(fire(relay, 7));
  EXPECT_EQ(events(), (Events{"op-begin 9 2 1", "channel-receive 9 1 1", "channel-send 9 2 1", "op-end 9 2 0"}));
  kernel::trace().record_groups(abi::trace::kAllGroups & ~bit(abi::trace::Group::Graphs));
  ASSERT_TRUE(fire(relay, 8));
  EXPECT_EQ(events(), Events{});
}

TEST_F(TracedFirings, what_a_full_channel_does_is_there) {
  ASSERT_EQ(channel(1, 1), "ok");
  ASSERT_EQ(text(graph->add_channel({.id = 2, .capacity = 1, .policy = ChannelPolicy::DropOldest})), "ok");
  ASSERT_EQ(text(graph->add_channel({.id = 3, .capacity = 1, .policy = ChannelPolicy::DropNewest})), "ok");
  static constexpr std::uint32_t kThree[] = {3};
  Operator& waits = add("source", {}, kOne);
  Operator& over = add("source", {}, kTwo);
  Operator& under = add("source", {}, kThree);
  for (Operator* const each : {&waits, &over, &under}) {
    ASSERT_TRUE(fire(*each, 1));
  }
  (void)events();
  EXPECT_TRUE(graph->find_channel(1)->await_room());
  EXPECT_TRUE(graph->find_channel(1)->await_room());  // the same wait
  EXPECT_EQ(events(), Events{"channel-stall 9 1 1"});
  ASSERT_TRUE(fire(over, 2));
  EXPECT_EQ(events(), (Events{"op-begin 9 2 2", "channel-send 9 2 1", "channel-drop 9 2 1", "op-end 9 2 0"}));
  ASSERT_TRUE(fire(under, 3));
  EXPECT_EQ(events(), (Events{"op-begin 9 3 2", "channel-drop 9 3 1", "op-end 9 3 0"}));
}

TEST_F(Firings, say_how_old_their_data_is) {
  ASSERT_EQ(channel(1, 4), "ok");
  Operator& source = add("source", {}, kOne);
  Operator& sink = add("sink", kOne, {});
  const auto made = fire(source, 100);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->oldest_ns, 100U);  // a source's data comes into the graph when it fires
  const auto ended = fire(sink, 250);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->oldest_ns, 100U);
  EXPECT_FALSE(ended->finished);
}

TEST_F(Firings, say_whom_they_wake) {
  ASSERT_EQ(channel(1, 1), "ok");
  Operator& source = add("source", {}, kOne);
  Operator& sink = add("sink", kOne, {});
  EXPECT_TRUE(graph->find_channel(1)->await_element());
  const auto made = fire(source, 1);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->wake_consumers, 1U);
  EXPECT_TRUE(graph->find_channel(1)->await_room());
  const auto ended = fire(sink, 2);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->wake_producers, 1U);
  EXPECT_EQ(ended->wake_consumers, 0U);
}

TEST_F(Firings, that_fail_have_used_their_inputs_and_sent_nothing) {
  graph = make({.name = "small", .memory_bytes = TensorArena::memory_for(1, 64), .tensors = 1});
  ASSERT_EQ(channel(1, 4), "ok");
  Operator& source = add("source", {}, kOne);
  ASSERT_TRUE(fire(source, 1));
  const auto failed = fire(source, 2);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().name, "graph-no-memory");
  EXPECT_EQ(failed.error().detail.view(), "no room for a tensor of 1 bytes: 1 tensors, 64 of 64 bytes are in use");
  EXPECT_EQ(graph->find_channel(1)->depth(), 1U);
  EXPECT_EQ(source.metrics().executions, 2U);
  EXPECT_EQ(source.metrics().failures, 1U);
}

TEST_F(Firings, are_counted_and_timed) {
  ASSERT_EQ(channel(1, 4), "ok");
  Operator& source = add("source", {}, kOne, 1000);
  for (const std::uint64_t took : {10U, 1000U, 1001U, 5000U}) {
    ASSERT_TRUE(fire(source, 1));
    source.record(took, 2 * took);
  }
  EXPECT_EQ(source.metrics().executions, 4U);
  EXPECT_EQ(source.metrics().overruns, 2U);
  EXPECT_EQ(source.metrics().failures, 0U);
  EXPECT_EQ(source.execution_time().count(), 4U);
  EXPECT_EQ(source.execution_time().max(), 5000U);
  EXPECT_EQ(source.execution_time().min(), 10U);
  EXPECT_EQ(source.latency().max(), 10'000U);
}

TEST_F(Firings, without_a_stated_wcet_never_overrun) {
  ASSERT_EQ(channel(1, 4), "ok");
  Operator& source = add("source", {}, kOne);
  source.record(~std::uint64_t{0}, 0);
  EXPECT_EQ(source.metrics().overruns, 0U);
}

TEST_F(Firings, leave_tensors_in_channels_that_can_be_drained) {
  ASSERT_EQ(channel(1, 4), "ok");
  Operator& source = add("source", {}, kOne);
  ASSERT_TRUE(fire(source, 1));
  ASSERT_TRUE(fire(source, 1));
  EXPECT_EQ(graph->arena().statistics().live, 2U);
  graph->drain_channels();
  EXPECT_EQ(graph->arena().statistics().live, 0U);
  EXPECT_EQ(graph->find_channel(1)->depth(), 0U);
}

TEST(KindTables, find_kinds_of_all_lists) {
  static constexpr OperatorKind kMore[] = {{.name = "more", .help = "", .make = make_relay}};
  KindTable kinds;
  EXPECT_EQ(kinds.find("relay"), nullptr);
  kinds.add(kTestKinds);
  kinds.add(kMore);
  EXPECT_EQ(kinds.find("relay"), &kTestKinds[1]);
  EXPECT_EQ(kinds.find("more"), &kMore[0]);
  EXPECT_EQ(kinds.find("mor"), nullptr);
  std::size_t count = 0;
  kinds.for_each([&](const OperatorKind&) { ++count; });
  EXPECT_EQ(count, std::size(kTestKinds) + 1);
}

TEST(ParameterValues, have_fallbacks) {
  const auto parameters = Parameters::check(kRelayParameters, {});
  ASSERT_TRUE(parameters);
  EXPECT_EQ(parameters->integer("level"), 2);
  EXPECT_EQ(parameters->text("mode"), "one");
  EXPECT_EQ(parameters->text("text"), "");
  EXPECT_FALSE(parameters->has("level"));
}

}  // namespace
}  // namespace guest::graph
