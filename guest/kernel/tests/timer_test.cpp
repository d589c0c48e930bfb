#include "guest/kernel/timer.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace guest::kernel {
namespace {

class FakeTimer final : public HardwareTimer {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return now; }
  [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
  void set_deadline(std::uint64_t deadline_ns) override { deadline = deadline_ns; }
  std::uint64_t now = 0;
  std::uint64_t deadline = kNoDeadline;
};

struct Mark {
  std::vector<int>* order;
  int id;
  static void run(void* context) {
    const auto* self = static_cast<Mark*>(context);
    self->order->push_back(self->id);
  }
};

class TimerTest : public ::testing::Test {
 protected:
  void advance_to(std::uint64_t now) {
    hardware.now = now;
    queue.on_interrupt();
    while (work.run_one()) {
    }
  }
  std::vector<int> order;
  Mark marks[3] = {{&order, 0}, {&order, 1}, {&order, 2}};
  WorkItem items[3] = {{Mark::run, &marks[0]}, {Mark::run, &marks[1]}, {Mark::run, &marks[2]}};
  Timer timers[3] = {Timer(items[0]), Timer(items[1]), Timer(items[2])};
  FakeTimer hardware;
  WorkQueue work;
  TimerQueue queue{hardware, work};
};

TEST_F(TimerTest, arm_programs_the_earliest_deadline) {
  queue.arm(timers[0], 300);
  queue.arm(timers[1], 100);
  queue.arm(timers[2], 200);
  EXPECT_EQ(hardware.deadline, 100U);
}

TEST_F(TimerTest, due_timers_fire_in_deadline_order_and_the_rest_stays) {
  queue.arm(timers[0], 300);
  queue.arm(timers[1], 100);
  queue.arm(timers[2], 200);
  advance_to(200);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_TRUE(timers[0].armed());
  EXPECT_EQ(hardware.deadline, 300U);
}

TEST_F(TimerTest, equal_deadlines_fire_in_arming_order) {
  queue.arm(timers[2], 50);
  queue.arm(timers[0], 50);
  advance_to(50);
  EXPECT_EQ(order, (std::vector<int>{2, 0}));
}

TEST_F(TimerTest, armed_again_moves_the_timer) {
  queue.arm(timers[0], 100);
  queue.arm(timers[0], 500);
  advance_to(100);
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(hardware.deadline, 500U);
}

TEST_F(TimerTest, cancelled_timer_does_not_fire_and_the_next_interrupt_frees_the_deadline) {
  queue.arm(timers[0], 100);
  queue.cancel(timers[0]);
  EXPECT_FALSE(timers[0].armed());
  advance_to(100);
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(hardware.deadline, kNoDeadline);
}

TEST_F(TimerTest, a_function_is_called_in_the_interrupt) {
  Timer direct(Mark::run, &marks[2]);
  queue.arm(timers[0], 100);
  queue.arm(direct, 100);
  hardware.now = 100;
  queue.on_interrupt();
  EXPECT_EQ(order, (std::vector<int>{2}));  // the work item of the other one waits for the loop
}

TEST_F(TimerTest, the_event_is_one_deadline_more) {
  queue.set_event_function(Mark::run, &marks[0]);
  queue.arm(timers[1], 300);
  queue.set_event(200);
  EXPECT_EQ(hardware.deadline, 200U);
  advance_to(200);
  EXPECT_EQ(order, (std::vector<int>{0}));
  EXPECT_EQ(hardware.deadline, 300U);
  advance_to(300);
  EXPECT_EQ(order, (std::vector<int>{0, 1}));
  EXPECT_EQ(hardware.deadline, kNoDeadline);
}

TEST_F(TimerTest, an_event_that_is_put_off_costs_no_access_to_the_hardware) {
  queue.set_event_function(Mark::run, &marks[0]);
  queue.set_event(200);
  hardware.deadline = 0;  // to see whether it is written
  queue.set_event(400);
  EXPECT_EQ(hardware.deadline, 0U);
  advance_to(200);
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(hardware.deadline, 400U);
  advance_to(400);
  EXPECT_EQ(order, (std::vector<int>{0}));
}

TEST_F(TimerTest, early_interrupt_fires_nothing_and_keeps_the_deadline) {
  queue.arm(timers[0], 100);
  advance_to(99);
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(hardware.deadline, 100U);
}

}  // namespace
}  // namespace guest::kernel
