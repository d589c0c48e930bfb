#include "guest/kernel/call_queue.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace guest::kernel {
namespace {

void increment(void* context) { ++*static_cast<int*>(context); }

TEST(CallQueue, calls_of_one_cpu_run_in_order) {
  CallQueue queue;
  std::vector<int> order;
  struct Note {
    std::vector<int>* order;
    int number;
  } notes[] = {{&order, 1}, {&order, 2}, {&order, 3}};
  for (Note& note : notes) {
    (void)queue.push(1, {[](void* context) {
                           auto& self = *static_cast<Note*>(context);
                           self.order->push_back(self.number);
                         },
                         &note});
  }
  queue.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(queue.runs(), 3U);
}

TEST(CallQueue, only_the_first_sender_interrupts_the_target) {
  CallQueue queue;
  int calls = 0;
  EXPECT_EQ(queue.push(0, {increment, &calls}), CallPush::QueuedFirst);
  EXPECT_EQ(queue.push(0, {increment, &calls}), CallPush::Queued);
  EXPECT_EQ(queue.push(5, {increment, &calls}), CallPush::Queued);
  queue.run();
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(queue.push(5, {increment, &calls}), CallPush::QueuedFirst);
}

TEST(CallQueue, a_full_ring_refuses_and_takes_calls_again_when_it_was_emptied) {
  CallQueue queue;
  int calls = 0;
  for (std::uint32_t i = 0; i < CallRing::kCapacity; ++i) {
    EXPECT_NE(queue.push(2, {increment, &calls}), CallPush::Full);
  }
  EXPECT_EQ(queue.push(2, {increment, &calls}), CallPush::Full);
  EXPECT_NE(queue.push(3, {increment, &calls}), CallPush::Full);
  queue.run();
  EXPECT_EQ(calls, static_cast<int>(CallRing::kCapacity) + 1);
  EXPECT_NE(queue.push(2, {increment, &calls}), CallPush::Full);
}

TEST(CallQueue, a_call_that_queues_a_call_has_the_target_interrupted_again) {
  CallQueue queue;
  struct Again {
    CallQueue& queue;
    CallPush result = CallPush::Full;
    int calls = 0;
  } again{queue};
  (void)queue.push(0, {[](void* context) {
                         auto& self = *static_cast<Again*>(context);
                         self.result = self.queue.push(7, {increment, &self.calls});
                       },
                       &again});
  queue.run();
  EXPECT_EQ(again.result, CallPush::QueuedFirst);
  EXPECT_EQ(again.calls, 0);
  queue.run();
  EXPECT_EQ(again.calls, 1);
}

/// The target runs only when it is interrupted: a lost interrupt would leave calls behind, and the test would not end.
TEST(CallQueue, many_senders_at_once_lose_no_call_and_no_interrupt) {
  constexpr std::uint32_t kSenders = 4;
  constexpr int kCalls = 20'000;
  CallQueue queue;
  std::atomic<bool> interrupt{false};
  int calls = 0;  // not atomic: the target alone runs the calls, one at a time
  std::thread target([&] {
    while (calls != static_cast<int>(kSenders) * kCalls) {
      if (interrupt.exchange(false, std::memory_order_acquire)) {
        queue.run();
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::vector<std::thread> senders;
  senders.reserve(kSenders);
  for (std::uint32_t cpu = 0; cpu < kSenders; ++cpu) {
    senders.emplace_back([&, cpu] {
      for (int i = 0; i < kCalls;) {
        const CallPush result = queue.push(cpu, {increment, &calls});
        if (result == CallPush::Full) {
          std::this_thread::yield();
          continue;
        }
        ++i;
        if (result == CallPush::QueuedFirst) {
          interrupt.store(true, std::memory_order_release);
        }
      }
    });
  }
  for (std::thread& sender : senders) {
    sender.join();
  }
  target.join();
  EXPECT_EQ(queue.runs(), static_cast<std::uint64_t>(kSenders) * kCalls);
}

}  // namespace
}  // namespace guest::kernel
