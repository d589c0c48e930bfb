#include "guest/kernel/work.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace guest::kernel {
namespace {

int wakes = 0;

TEST(WorkQueue, only_the_first_raise_wakes_the_loop) {
  WorkQueue queue;
  queue.set_wake([] { ++wakes; });
  WorkItem one([](void*) {}, nullptr);
  WorkItem two([](void*) {}, nullptr);
  wakes = 0;
  queue.raise(one);
  queue.raise(two);
  queue.raise(one);
  EXPECT_EQ(wakes, 1);
  while (queue.run_one()) {
  }
  queue.raise(two);
  EXPECT_EQ(wakes, 2);
}

struct Recorder {
  std::vector<int>* order;
  int id;
  static void run(void* context) {
    const auto* self = static_cast<Recorder*>(context);
    self->order->push_back(self->id);
  }
};

TEST(WorkQueue, items_raised_in_an_order_run_in_that_order) {
  std::vector<int> order;
  Recorder recorders[] = {{&order, 1}, {&order, 2}, {&order, 3}};
  WorkItem a(Recorder::run, &recorders[0]);
  WorkItem b(Recorder::run, &recorders[1]);
  WorkItem c(Recorder::run, &recorders[2]);
  WorkQueue queue;
  queue.raise(b);
  queue.raise(c);
  queue.raise(a);
  while (queue.run_one()) {
  }
  EXPECT_EQ(order, (std::vector<int>{2, 3, 1}));
  EXPECT_TRUE(queue.empty());
}

TEST(WorkQueue, item_raised_twice_before_it_runs_runs_once) {
  std::vector<int> order;
  Recorder recorder{&order, 7};
  WorkItem item(Recorder::run, &recorder);
  WorkQueue queue;
  queue.raise(item);
  queue.raise(item);
  EXPECT_TRUE(queue.run_one());
  EXPECT_FALSE(queue.run_one());
  EXPECT_EQ(order.size(), 1U);
}

struct Again {
  WorkQueue* queue;
  WorkItem* item;
  int left;
  static void run(void* context) {
    auto* self = static_cast<Again*>(context);
    if (--self->left > 0) {
      self->queue->raise(*self->item);
    }
  }
};

TEST(WorkQueue, item_raised_while_it_runs_runs_again) {
  WorkQueue queue;
  Again again{&queue, nullptr, 3};
  WorkItem item(Again::run, &again);
  again.item = &item;
  queue.raise(item);
  while (queue.run_one()) {
  }
  EXPECT_EQ(again.left, 0);
  EXPECT_EQ(queue.runs(), 3U);
}

// A raise must never be lost: the value that the raiser wrote before is seen by a run after it.
TEST(WorkQueue, raises_from_two_threads_are_all_seen) {
  struct Counter {
    std::atomic<int> posted = 0;
    int seen = 0;
    static void run(void* context) {
      auto* self = static_cast<Counter*>(context);
      self->seen = self->posted.load(std::memory_order_relaxed);
    }
  };
  constexpr int kRaises = 20'000;
  WorkQueue queue;
  Counter counters[2];
  WorkItem first(Counter::run, &counters[0]);
  WorkItem second(Counter::run, &counters[1]);
  WorkItem* const items[] = {&first, &second};
  std::vector<std::thread> raisers;
  for (int i = 0; i < 2; ++i) {
    raisers.emplace_back([&queue, &counter = counters[i], item = items[i]] {
      for (int n = 0; n < kRaises; ++n) {
        counter.posted.fetch_add(1, std::memory_order_relaxed);
        queue.raise(*item);
      }
    });
  }
  while (counters[0].seen < kRaises || counters[1].seen < kRaises) {
    if (!queue.run_one()) {
      std::this_thread::yield();
    }
  }
  for (std::thread& raiser : raisers) {
    raiser.join();
  }
  EXPECT_EQ(counters[0].seen, kRaises);
  EXPECT_EQ(counters[1].seen, kRaises);
}

}  // namespace
}  // namespace guest::kernel
