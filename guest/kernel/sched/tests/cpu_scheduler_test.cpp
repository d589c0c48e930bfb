// The scheduler's calls, one by one; schedules are compared with the reference in scheduler_properties_test.cpp.
#include "guest/kernel/sched/cpu_scheduler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

namespace guest::sched {
namespace {

constexpr ServerParameters implicit(Time budget, Time period) {
  return {.budget = budget, .period = period, .deadline = period};
}

TEST(Admission, ChecksTheParameters) {
  EXPECT_EQ(check(implicit(1, 1)), Verdict::Admitted);
  EXPECT_EQ(check(implicit(0, 10)), Verdict::BadBudget);
  EXPECT_EQ(check(implicit(-1, 10)), Verdict::BadBudget);
  EXPECT_EQ(check({.budget = 6, .period = 10, .deadline = 5}), Verdict::BadBudget);
  EXPECT_EQ(check({.budget = 1, .period = 10, .deadline = 11}), Verdict::BadDeadline);
  EXPECT_EQ(check({.budget = 1, .period = 10, .deadline = 0}), Verdict::BadBudget);
  EXPECT_EQ(check(implicit(1, 0)), Verdict::BadPeriod);
  EXPECT_EQ(check(implicit(1, kMaxPeriod)), Verdict::Admitted);
  EXPECT_EQ(check(implicit(1, kMaxPeriod + 1)), Verdict::BadPeriod);
}

TEST(Admission, DensityIsOfTheDeadlineAndRoundedUp) {
  EXPECT_EQ(density(implicit(1, 4)), 250'000U);
  EXPECT_EQ(density({.budget = 1, .period = 4, .deadline = 2}), 500'000U);
  EXPECT_EQ(density(implicit(1, 3)), 333'334U);
  EXPECT_EQ(density(implicit(kMaxPeriod, kMaxPeriod)), kWholeCpu);
  EXPECT_EQ(density(implicit(1, kMaxPeriod)), 1U);
}

TEST(Admission, IsRefusedWithItsArithmetic) {
  CpuScheduler cpu;
  Server first(0, implicit(6, 10));
  Server second(1, implicit(3, 10));
  Server third(2, implicit(1, 4));
  EXPECT_EQ(cpu.admit(first).verdict, Verdict::Admitted);
  const Admission refused = cpu.admit(second);
  EXPECT_EQ(refused.verdict, Verdict::TooMuch);
  EXPECT_EQ(refused.density, 300'000U);
  EXPECT_EQ(refused.admitted, 600'000U);
  EXPECT_EQ(refused.bound, 850'000U);
  EXPECT_EQ(cpu.admit(third).verdict, Verdict::Admitted);  // exactly the bound
  cpu.remove(first);
  EXPECT_EQ(cpu.admitted(), 250'000U);
  EXPECT_EQ(cpu.admit(second).verdict, Verdict::Admitted);
}

TEST(Admission, CountsServers) {
  CpuScheduler cpu;
  std::deque<Server> servers;
  for (std::uint32_t id = 0; id < CpuScheduler::kMaxServers; ++id) {
    servers.emplace_back(id, implicit(1, 1'000'000));
    ASSERT_EQ(cpu.admit(servers.back()).verdict, Verdict::Admitted);
  }
  servers.emplace_back(999U, implicit(1, 1'000'000));
  EXPECT_EQ(cpu.admit(servers.back()).verdict, Verdict::TooManyServers);
}

TEST(Placement, IsTheFirstFitOrTheRoomiestRefusal) {
  CpuScheduler first;
  CpuScheduler second;
  CpuScheduler* const cpus[] = {&first, &second};
  std::deque<Server> servers;
  const auto place_one = [&](Time budget) {
    servers.emplace_back(static_cast<std::uint32_t>(servers.size()), implicit(budget, 100));
    return place(cpus, servers.back());
  };
  EXPECT_EQ(place_one(50).cpu, 0U);
  EXPECT_EQ(place_one(40).cpu, 1U);
  EXPECT_EQ(place_one(30).cpu, 0U);
  EXPECT_EQ(place_one(10).cpu, 1U);
  EXPECT_EQ(place_one(5).cpu, 0U);
  const Placement refused = place_one(60);
  EXPECT_EQ(refused.cpu, 1U);
  EXPECT_EQ(refused.admission.verdict, Verdict::TooMuch);
  EXPECT_EQ(refused.admission.admitted, 500'000U);
}

TEST(BestEffort, TakesTurns) {
  CpuScheduler cpu;
  Task a;
  Task b;
  EXPECT_EQ(cpu.choose(0), nullptr);
  EXPECT_EQ(cpu.next_event(), kNever);
  cpu.wake(a, 5);
  EXPECT_EQ(cpu.choose(5), &a);
  EXPECT_EQ(cpu.next_event(), kNever);  // nobody waits
  cpu.wake(b, 6);
  EXPECT_EQ(cpu.choose(6), &a);
  EXPECT_EQ(cpu.next_event(), 5 + CpuScheduler::kSlice);
  EXPECT_EQ(cpu.choose(5 + CpuScheduler::kSlice), &b);
  EXPECT_EQ(cpu.next_event(), 5 + 2 * CpuScheduler::kSlice);
  cpu.yield(100 + CpuScheduler::kSlice);
  EXPECT_EQ(cpu.choose(100 + CpuScheduler::kSlice), &a);
  cpu.block(a, 200 + CpuScheduler::kSlice);
  EXPECT_EQ(cpu.running(), nullptr);
  EXPECT_EQ(cpu.choose(200 + CpuScheduler::kSlice), &b);
  EXPECT_EQ(a.ran(), 100 + CpuScheduler::kSlice);
  EXPECT_EQ(b.ran(), 95);
}

TEST(BestEffort, KeepsTheRestOfItsSliceWhenPreempted) {
  CpuScheduler cpu;
  Server server(0, implicit(1'000'000, 10'000'000));
  ASSERT_EQ(cpu.admit(server).verdict, Verdict::Admitted);
  Task real_time(&server);
  Task a;
  Task b;
  cpu.wake(a, 0);
  cpu.wake(b, 0);
  EXPECT_EQ(cpu.choose(0), &a);
  cpu.wake(real_time, 4'000'000);
  EXPECT_EQ(cpu.choose(4'000'000), &real_time);
  cpu.block(real_time, 4'500'000);
  EXPECT_EQ(cpu.choose(4'500'000), &a);
  EXPECT_EQ(cpu.next_event(), 4'500'000 + 6'000'000);
}

TEST(BestEffort, OneThatEndsWhileAnotherRunsIsForgotten) {
  CpuScheduler cpu;
  Task a;
  Task b;
  cpu.wake(a, 0);
  cpu.wake(b, 0);
  EXPECT_EQ(cpu.choose(0), &a);
  cpu.block(b, 10);
  EXPECT_FALSE(b.ready());
  EXPECT_EQ(cpu.choose(10), &a);
  EXPECT_EQ(cpu.next_event(), kNever);
  cpu.block(b, 20);  // again: nothing
  EXPECT_EQ(cpu.choose(20), &a);
}

class OneServer : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(cpu_.admit(server_).verdict, Verdict::Admitted); }

  CpuScheduler cpu_;
  Server server_{0, implicit(100, 1000)};
  Task task_{&server_};
};

TEST_F(OneServer, IsStoppedByTheTimerAndGoesOnWithItsNextPeriod) {
  cpu_.wake(task_, 50);
  EXPECT_EQ(cpu_.choose(50), &task_);
  EXPECT_EQ(cpu_.next_event(), 150);
  EXPECT_EQ(cpu_.choose(150), nullptr);
  EXPECT_EQ(cpu_.next_event(), 1050);
  EXPECT_EQ(cpu_.choose(1050), &task_);
  EXPECT_EQ(server_.cbs().deadline(), 2050);
  EXPECT_EQ(server_.counters().throttles, 1U);
}

TEST_F(OneServer, RepaysAnOverrun) {
  cpu_.wake(task_, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  EXPECT_EQ(cpu_.choose(250), nullptr);  // the timer was late by 150
  EXPECT_EQ(server_.counters().max_overrun, 150);
  EXPECT_EQ(cpu_.choose(1000), &task_);
  EXPECT_EQ(server_.cbs().budget(), 50);  // two periods' budgets, less what was taken before
  EXPECT_EQ(server_.cbs().deadline(), 3000);
  EXPECT_EQ(cpu_.next_event(), 1050);
  EXPECT_EQ(cpu_.choose(1050), nullptr);
  EXPECT_EQ(cpu_.next_event(), 3000);
}

TEST_F(OneServer, DoesNotMakeUpForPeriodsThatPassedWhileTheMachineStoodStill) {
  cpu_.wake(task_, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  EXPECT_EQ(cpu_.choose(100), nullptr);
  EXPECT_EQ(cpu_.choose(1'000'000), &task_);
  EXPECT_EQ(server_.cbs().deadline(), 1'001'000);
  EXPECT_EQ(cpu_.next_event(), 1'000'100);
  EXPECT_EQ(cpu_.choose(1'000'100), nullptr);
  EXPECT_EQ(cpu_.next_event(), 1'001'000);
}

TEST_F(OneServer, ChargesATaskThatGoesOnAfterItsBudget) {
  cpu_.wake(task_, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  cpu_.yield(100);  // out of budget; somebody chooses later
  EXPECT_EQ(cpu_.choose(130), nullptr);
  EXPECT_EQ(server_.cbs().budget(), -30);
  EXPECT_EQ(server_.counters().throttles, 1U);
  EXPECT_EQ(cpu_.choose(1000), &task_);
  EXPECT_EQ(cpu_.next_event(), 1070);
}

TEST_F(OneServer, ItsTasksTakeTurnsByYielding) {
  Task other(&server_);
  cpu_.wake(task_, 0);
  cpu_.wake(other, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  cpu_.yield(10);
  EXPECT_EQ(cpu_.choose(10), &other);
  cpu_.block(other, 30);
  EXPECT_EQ(cpu_.choose(30), &task_);
  EXPECT_EQ(server_.cbs().budget(), 70);  // the budget is of both
  EXPECT_EQ(task_.ran(), 10);
  EXPECT_EQ(other.ran(), 20);
}

TEST_F(OneServer, TaskThatIsTakenAwayWhileThrottledLeavesNothingToRun) {
  cpu_.wake(task_, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  EXPECT_EQ(cpu_.choose(100), nullptr);
  cpu_.block(task_, 500);
  EXPECT_EQ(cpu_.next_event(), kNever);
  EXPECT_EQ(cpu_.choose(1000), nullptr);
  cpu_.remove(server_);
  EXPECT_EQ(cpu_.servers(), 0U);
}

TEST_F(OneServer, ThrottledWithoutWorkItWaitsForItsNextPeriodWhenItGetsSome) {
  cpu_.wake(task_, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  cpu_.block(task_, 100);
  EXPECT_EQ(cpu_.choose(100), nullptr);
  cpu_.wake(task_, 300);
  EXPECT_EQ(cpu_.choose(300), nullptr);
  EXPECT_EQ(cpu_.next_event(), 1000);
  EXPECT_EQ(cpu_.choose(1000), &task_);
  EXPECT_EQ(server_.counters().throttles, 1U);
}

TEST_F(OneServer, StartsAnewAfterAPeriodThatCameWithoutWork) {
  cpu_.wake(task_, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  cpu_.block(task_, 100);
  EXPECT_EQ(cpu_.choose(100), nullptr);
  cpu_.wake(task_, 1300);
  EXPECT_EQ(cpu_.choose(1300), &task_);
  EXPECT_EQ(server_.cbs().deadline(), 2300);
  EXPECT_EQ(server_.cbs().budget(), 100);
}

TEST_F(OneServer, RepaysAnOverrunByRest) {
  cpu_.wake(task_, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  cpu_.block(task_, 150);
  EXPECT_EQ(cpu_.choose(150), nullptr);
  cpu_.wake(task_, 1200);  // 200 after the period began: 20 are repaid, 30 are not
  EXPECT_EQ(cpu_.choose(1200), &task_);
  EXPECT_EQ(server_.cbs().budget(), 70);
  EXPECT_EQ(server_.cbs().deadline(), 2200);
}

TEST_F(OneServer, DoesNotStartAfterARestThatWasTooShortForItsOverrun) {
  cpu_.wake(task_, 0);
  EXPECT_EQ(cpu_.choose(0), &task_);
  cpu_.block(task_, 250);
  EXPECT_EQ(cpu_.choose(250), nullptr);
  cpu_.wake(task_, 1200);  // 30 of the second period's budget have been taken before
  EXPECT_EQ(cpu_.choose(1200), nullptr);
  EXPECT_EQ(cpu_.next_event(), 2200);
  EXPECT_EQ(cpu_.choose(2200), &task_);
  EXPECT_EQ(server_.cbs().budget(), 70);
  EXPECT_EQ(server_.cbs().deadline(), 3200);
}

TEST(RevisedRule, ThatLeavesNothingThrottles) {
  CpuScheduler cpu;
  Server server(0, {.budget = 1, .period = 1000, .deadline = 500});
  ASSERT_EQ(cpu.admit(server).verdict, Verdict::Admitted);
  Task task(&server);
  cpu.wake(task, 0);
  cpu.block(task, 0);
  cpu.wake(task, 10);  // 490 * 1 / 500
  EXPECT_EQ(cpu.choose(10), nullptr);
  EXPECT_EQ(cpu.next_event(), 1000);
  EXPECT_EQ(server.counters().throttles, 1U);
  EXPECT_EQ(cpu.choose(1000), &task);
}

TEST_F(OneServer, WakingTwiceIsOnce) {
  cpu_.wake(task_, 0);
  cpu_.wake(task_, 10);
  EXPECT_EQ(cpu_.choose(10), &task_);
  cpu_.block(task_, 20);
  EXPECT_EQ(cpu_.choose(20), nullptr);
}

TEST_F(OneServer, WithReadyTasksIsNotRemoved) {
  cpu_.wake(task_, 0);
  EXPECT_DEATH(cpu_.remove(server_), "ready tasks");
}

struct Numbered {
  std::uint32_t number;
  std::uint32_t place = ~std::uint32_t{0};
  static bool before(const Numbered& a, const Numbered& b) { return a.number < b.number; }
};

TEST(HeapTest, KeepsTheOrderOverInsertionChangeAndRemoval) {
  Heap<Numbered, 64, &Numbered::place, &Numbered::before> heap;
  std::deque<Numbered> items;
  std::uint32_t random = 1;
  const auto next = [&random] { return random = random * 1'664'525 + 1'013'904'223; };
  for (std::uint32_t i = 0; i < 64; ++i) {
    items.push_back({.number = next()});
    heap.insert(items.back());
  }
  for (int round = 0; round < 1000; ++round) {
    Numbered& item = items[next() >> 26];
    if (heap.holds(item) && (next() >> 31) != 0) {
      heap.remove(item);
      item.number = next();
      heap.insert(item);
    } else {
      item.number = next();
      heap.update(item);
    }
    const Numbered* least = &items[0];
    for (const Numbered& other : items) least = Numbered::before(other, *least) ? &other : least;
    ASSERT_EQ(heap.first(), least);
  }
  std::vector<std::uint32_t> order;
  while (!heap.empty()) {
    order.push_back(heap.first()->number);
    heap.remove(*heap.first());
  }
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(order.size(), 64U);
}

}  // namespace
}  // namespace guest::sched
