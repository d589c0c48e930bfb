#include "guest/graph/channel.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "arena_fixture.hpp"
#include "guest/kernel/host_cpu.hpp"

namespace guest::graph {
namespace {

/// A channel with its storage, and an arena with room for some more tensors than fit in it.
struct Flow {
  Flow(std::uint32_t capacity, ChannelPolicy policy)
      : with(capacity + 8 < TensorArena::kMaxTensors ? capacity + 8 : TensorArena::kMaxTensors, 8192),
        slots(new Channel::Slot[capacity]),
        channel(std::in_place, 9, std::span(slots.get(), capacity), policy, with.arena) {}

  SendResult send(std::uint64_t sequence) {
    TensorRef tensor = with.bytes(0, sequence);
    return channel->send(tensor);
  }
  /// The sequence number of what is received.
  std::optional<std::uint64_t> receive() {
    const Received received = channel->receive();
    return received.tensor ? std::optional(received.tensor.info().sequence) : std::nullopt;
  }

  ArenaFixture with;
  std::unique_ptr<Channel::Slot[]> slots;
  std::optional<Channel> channel;
};

class EveryPolicy : public ::testing::TestWithParam<ChannelPolicy> {};
INSTANTIATE_TEST_SUITE_P(Policies, EveryPolicy,
                         ::testing::Values(ChannelPolicy::Block, ChannelPolicy::DropOldest, ChannelPolicy::DropNewest));

TEST_P(EveryPolicy, tensors_come_out_in_the_order_in_which_they_were_sent) {
  Flow flow(3, GetParam());
  for (std::uint64_t i = 0; i < 10; i += 2) {
    EXPECT_EQ(flow.send(i).outcome, SendOutcome::Sent);
    EXPECT_EQ(flow.send(i + 1).outcome, SendOutcome::Sent);
    EXPECT_EQ(flow.receive(), i);
    EXPECT_EQ(flow.receive(), i + 1);
    EXPECT_EQ(flow.receive(), std::nullopt);
  }
  const ChannelMetrics metrics = flow.channel->metrics();
  EXPECT_EQ(metrics.sent, 10U);
  EXPECT_EQ(metrics.received, 10U);
  EXPECT_EQ(metrics.high_water, 2U);
  EXPECT_EQ(metrics.depth, 0U);
  EXPECT_EQ(metrics.stalls + metrics.dropped_oldest + metrics.dropped_newest, 0U);
}

TEST_P(EveryPolicy, the_reference_moves_with_the_handle_and_no_byte_is_copied) {
  Flow flow(1, GetParam());
  TensorRef tensor = flow.with.bytes(100);
  const std::byte* const data = tensor.data().data();
  ASSERT_EQ(flow.channel->send(tensor).outcome, SendOutcome::Sent);
  EXPECT_FALSE(tensor);
  EXPECT_EQ(flow.with.arena.statistics().live, 1U);
  const Received received = flow.channel->receive();
  ASSERT_TRUE(received.tensor);
  EXPECT_TRUE(received.tensor.unique());
  EXPECT_EQ(received.tensor.data().data(), data);
  EXPECT_EQ(flow.with.arena.statistics().bytes_copied, 0U);
}

TEST_P(EveryPolicy, a_channel_that_ends_frees_what_is_in_it) {
  Flow flow(3, GetParam());
  (void)flow.send(1);
  (void)flow.send(2);
  EXPECT_EQ(flow.with.arena.statistics().live, 2U);
  flow.channel.reset();
  EXPECT_EQ(flow.with.arena.statistics().live, 0U);
}

TEST_P(EveryPolicy, drain_frees_and_counts_what_is_there) {
  Flow flow(3, GetParam());
  EXPECT_EQ(flow.channel->drain(), 0U);
  (void)flow.send(1);
  (void)flow.send(2);
  EXPECT_EQ(flow.channel->drain(), 2U);
  EXPECT_EQ(flow.with.arena.statistics().live, 0U);
  EXPECT_EQ(flow.channel->metrics().received, 2U);
}

TEST_P(EveryPolicy, what_is_no_tensor_of_the_arena_is_not_sent) {
  Flow flow(1, GetParam());
  TensorRef none;
  EXPECT_DEATH((void)flow.channel->send(none), "another arena, or none");
  ArenaFixture others(1, 64);
  TensorRef foreign = others.bytes(1);
  EXPECT_DEATH((void)flow.channel->send(foreign), "another arena, or none");
}

TEST_P(EveryPolicy, a_consumer_that_waits_is_woken_by_one_send) {
  Flow flow(2, GetParam());
  EXPECT_EQ(flow.receive(), std::nullopt);
  EXPECT_TRUE(flow.channel->await_element());
  EXPECT_TRUE(flow.send(1).wake_consumer);
  EXPECT_FALSE(flow.send(2).wake_consumer);
  EXPECT_FALSE(flow.channel->await_element());
}

TEST_P(EveryPolicy, names_are_those_of_the_scenario) {
  const std::string_view names[] = {"block", "drop-oldest", "drop-newest"};
  EXPECT_EQ(to_string(GetParam()), names[static_cast<std::size_t>(GetParam())]);
}

TEST(BlockingChannel, that_is_full_leaves_the_tensor_with_its_owner_whose_wait_is_a_stall) {
  Flow flow(1, ChannelPolicy::Block);
  (void)flow.send(1);
  TensorRef tensor = flow.with.bytes(0, 2);
  EXPECT_FALSE(flow.channel->has_room());
  EXPECT_EQ(flow.channel->send(tensor).outcome, SendOutcome::Full);
  EXPECT_TRUE(tensor);
  EXPECT_EQ(flow.channel->metrics().stalls, 0U);
  EXPECT_TRUE(flow.channel->await_room());
  EXPECT_EQ(flow.channel->metrics().stalls, 1U);
  const Received received = flow.channel->receive();
  EXPECT_TRUE(received.wake_producer);
  EXPECT_EQ(flow.channel->send(tensor).outcome, SendOutcome::Sent);
  EXPECT_FALSE(tensor);
  EXPECT_EQ(flow.receive(), 2U);
  const ChannelMetrics metrics = flow.channel->metrics();
  EXPECT_EQ(metrics.sent, 2U);
  EXPECT_EQ(metrics.stalls, 1U);
}

/// Regression test: an operator that was woken for its input while its output was full counted a stall each time.
TEST(BlockingChannel, one_wait_is_one_stall_however_often_the_producer_looks) {
  Flow flow(1, ChannelPolicy::Block);
  for (std::uint64_t waits = 1; waits <= 3; ++waits) {
    (void)flow.send(1);
    for (int look = 0; look < 5; ++look) {
      EXPECT_FALSE(flow.channel->has_room());
      EXPECT_TRUE(flow.channel->await_room());
      EXPECT_EQ(flow.channel->metrics().stalls, waits);
    }
    EXPECT_TRUE(flow.channel->receive().wake_producer);
    EXPECT_FALSE(flow.channel->await_room());
    EXPECT_EQ(flow.channel->metrics().stalls, waits);
  }
}

TEST(DroppingChannel, that_is_full_frees_the_oldest) {
  Flow flow(2, ChannelPolicy::DropOldest);
  TensorRef first = flow.with.bytes(0, 1);
  const TensorHandle oldest = first.handle();
  (void)flow.channel->send(first);
  (void)flow.send(2);
  const SendResult result = flow.send(3);
  EXPECT_EQ(result.outcome, SendOutcome::DroppedOldest);
  EXPECT_EQ(result.dropped, oldest);
  EXPECT_EQ(flow.with.arena.statistics().live, 2U);
  EXPECT_EQ(flow.receive(), 2U);
  EXPECT_EQ(flow.receive(), 3U);
  const ChannelMetrics metrics = flow.channel->metrics();
  EXPECT_EQ(metrics.sent, 3U);
  EXPECT_EQ(metrics.received, 2U);
  EXPECT_EQ(metrics.dropped_oldest, 1U);
  EXPECT_EQ(metrics.dropped_newest, 0U);
  EXPECT_EQ(metrics.stalls, 0U);
}

TEST(DroppingChannel, that_drops_a_shared_tensor_leaves_it_to_the_other_owners) {
  Flow flow(1, ChannelPolicy::DropOldest);
  TensorRef tensor = flow.with.bytes(0, 1);
  const TensorRef mine = tensor.share();
  (void)flow.channel->send(tensor);
  (void)flow.send(2);
  EXPECT_TRUE(mine.unique());
  EXPECT_EQ(mine.info().sequence, 1U);
}

TEST(DroppingChannel, that_is_full_frees_the_newest) {
  Flow flow(2, ChannelPolicy::DropNewest);
  (void)flow.send(1);
  (void)flow.send(2);
  TensorRef third = flow.with.bytes(0, 3);
  const TensorHandle newest = third.handle();
  const SendResult result = flow.channel->send(third);
  EXPECT_EQ(result.outcome, SendOutcome::DroppedNewest);
  EXPECT_EQ(result.dropped, newest);
  EXPECT_FALSE(result.wake_consumer);
  EXPECT_FALSE(third);
  EXPECT_EQ(flow.with.arena.statistics().live, 2U);
  EXPECT_EQ(flow.receive(), 1U);
  EXPECT_EQ(flow.receive(), 2U);
  const ChannelMetrics metrics = flow.channel->metrics();
  EXPECT_EQ(metrics.sent, 2U);
  EXPECT_EQ(metrics.dropped_newest, 1U);
  EXPECT_EQ(metrics.dropped_oldest, 0U);
}

TEST(LargestChannel, fills_up_to_65535) {
  constexpr std::uint32_t kLargest = Channel::kMaxCapacity;
  Flow flow(kLargest, ChannelPolicy::Block);
  TensorRef tensor = flow.with.bytes(0);
  for (std::uint32_t i = 0; i < kLargest; ++i) {
    TensorRef reference = tensor.share();
    ASSERT_EQ(flow.channel->send(reference).outcome, SendOutcome::Sent);
  }
  EXPECT_EQ(flow.channel->send(tensor).outcome, SendOutcome::Full);
  EXPECT_EQ(flow.channel->metrics().high_water, kLargest);
  EXPECT_EQ(flow.channel->drain(), kLargest);
  EXPECT_TRUE(tensor.unique());
}

/// Two CPUs, as fast as they can: whatever the policy, each tensor is received or dropped, and its memory comes back.
TEST_P(EveryPolicy, two_cpus_account_for_every_tensor) {
  constexpr std::uint64_t kTensors = 5'000;
  Flow flow(3, GetParam());
  std::atomic<bool> done{false};
  std::thread producer([&] {
    const kernel::HostCpu identity(1);
    for (std::uint64_t i = 0; i < kTensors; ++i) {
      TensorRef tensor = flow.with.bytes(0, i);
      while (flow.channel->send(tensor).outcome == SendOutcome::Full) {
        std::this_thread::yield();
      }
    }
    done = true;
  });
  std::uint64_t received = 0;
  std::uint64_t next = 0;
  bool in_order = true;
  for (bool last = false; !last;) {
    last = done;
    while (const auto sequence = flow.receive()) {
      in_order = in_order && *sequence >= next;
      next = *sequence + 1;
      ++received;
    }
  }
  producer.join();
  const ChannelMetrics metrics = flow.channel->metrics();
  EXPECT_TRUE(in_order);
  EXPECT_EQ(metrics.received, received);
  EXPECT_EQ(metrics.sent, received + metrics.dropped_oldest);
  EXPECT_EQ(metrics.sent + metrics.dropped_newest, kTensors);
  if (GetParam() == ChannelPolicy::Block) {
    EXPECT_EQ(received, kTensors);
  }
  EXPECT_EQ(flow.with.arena.statistics().live, 0U);
}

}  // namespace
}  // namespace guest::graph
