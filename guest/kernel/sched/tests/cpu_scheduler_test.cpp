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
  cpu.remove(first, 0);
  EXPECT_EQ(cpu.admitted(), 250'000U);
  EXPECT_EQ(cpu.admit(second).verdict, Verdict::Admitted);
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
  cpu_.remove(server_, 1000);
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
  EXPECT_DEATH(cpu_.remove(server_, 0), "ready tasks");
}

class Inheritance : public ::testing::Test {
 protected:
  Inheritance() {
    EXPECT_EQ(cpu.admit(urgent_server).verdict, Verdict::Admitted);
    EXPECT_EQ(cpu.admit(late_server).verdict, Verdict::Admitted);
  }
  CpuScheduler cpu;
  Server urgent_server{0, implicit(20, 100)};
  Server late_server{1, implicit(100, 1000)};
  Task urgent{&urgent_server};
  Task late{&late_server};
  Task best_effort;
};

TEST_F(Inheritance, OneThatHasInheritedRunsWithThatDeadline) {
  cpu.wake(best_effort, 0);
  cpu.wake(late, 0);
  EXPECT_EQ(cpu.choose(0), &late);
  cpu.inherit(best_effort, 100);
  EXPECT_EQ(best_effort.deadline(), 100);
  EXPECT_EQ(cpu.choose(1), &best_effort);
  cpu.wake(urgent, 1);  // deadline 101
  EXPECT_EQ(cpu.choose(1), &best_effort);
  cpu.inherit(best_effort, 102);
  EXPECT_EQ(cpu.choose(2), &urgent);
  cpu.block(urgent, 3);
  EXPECT_EQ(cpu.choose(3), &best_effort);
  cpu.inherit(best_effort, kNever);
  EXPECT_EQ(best_effort.deadline(), kNever);
  EXPECT_EQ(cpu.choose(4), &late);
}

TEST_F(Inheritance, ComesFirstWhereDeadlinesAreEqual) {
  cpu.wake(late, 0);
  cpu.wake(best_effort, 0);
  cpu.inherit(best_effort, 1000);
  EXPECT_EQ(cpu.choose(0), &best_effort);
}

TEST_F(Inheritance, GoesOnWithoutBudgetAndIsChargedForIt) {
  cpu.wake(urgent, 0);
  cpu.inherit(urgent, 50);
  EXPECT_EQ(cpu.choose(0), &urgent);
  EXPECT_EQ(cpu.next_event(), 20);
  EXPECT_EQ(cpu.choose(20), &urgent);  // throttled, but somebody waits for it
  EXPECT_EQ(cpu.next_event(), 100);    // and no storm of events until then
  EXPECT_EQ(cpu.choose(50), &urgent);
  cpu.inherit(urgent, kNever);
  EXPECT_EQ(cpu.choose(50), nullptr);
  EXPECT_EQ(urgent_server.cbs().budget(), -30);
  EXPECT_EQ(urgent_server.counters().throttles, 1U);
  EXPECT_EQ(urgent_server.counters().max_overrun, 30);
  EXPECT_EQ(cpu.choose(100), &urgent);  // -30 + 20 + 20, with the deadline of the period after the next
  EXPECT_EQ(urgent_server.cbs().budget(), 10);
  EXPECT_EQ(urgent_server.cbs().deadline(), 300);
}

TEST_F(Inheritance, OfABestEffortTaskIsTheRightToGoOnBeforeThese) {
  cpu.wake(urgent, 0);
  cpu.wake(best_effort, 0);
  cpu.inherit(urgent, kBestEffort);
  EXPECT_EQ(urgent.deadline(), 100);  // its own
  EXPECT_EQ(cpu.choose(0), &urgent);
  EXPECT_EQ(cpu.choose(20), &urgent);  // throttled
  EXPECT_EQ(cpu.next_event(), 100);
  cpu.wake(late, 30);
  EXPECT_EQ(cpu.choose(30), &late);  // which has a budget
  cpu.block(late, 40);
  EXPECT_EQ(cpu.choose(40), &urgent);
  cpu.inherit(urgent, kNever);
  EXPECT_EQ(cpu.choose(50), &best_effort);
  EXPECT_EQ(urgent_server.cbs().budget(), -20);
}

TEST_F(Inheritance, LastsOverASleep) {
  cpu.wake(late, 0);
  cpu.wake(best_effort, 0);
  cpu.inherit(best_effort, 10);
  EXPECT_EQ(cpu.choose(0), &best_effort);
  cpu.block(best_effort, 1);
  EXPECT_EQ(cpu.choose(1), &late);
  cpu.inherit(best_effort, 20);  // while it sleeps
  cpu.wake(best_effort, 2);
  EXPECT_EQ(cpu.choose(2), &best_effort);
}

}  // namespace
}  // namespace guest::sched
