// What servers that reclaim are charged; whole schedules are compared with the reference in
// scheduler_properties_test.cpp.
#include <gtest/gtest.h>

#include "guest/kernel/sched/cpu_scheduler.hpp"

namespace guest::sched {
namespace {

constexpr ServerParameters implicit_deadline(Time budget, Time period) {
  return {.budget = budget, .period = period, .deadline = period};
}

constexpr ServerParameters reclaiming(Time budget, Time period) {
  return {.budget = budget, .period = period, .deadline = period, .reclaim = true};
}

/// A tenth of the CPU, which may have more, and half of it.
class Reclaiming : public ::testing::Test {
 protected:
  Reclaiming() {
    EXPECT_EQ(cpu.admit(greedy_server).verdict, Verdict::Admitted);
    EXPECT_EQ(cpu.admit(other_server).verdict, Verdict::Admitted);
  }
  CpuScheduler cpu{kWholeCpu};
  Server greedy_server{0, reclaiming(100, 1000)};
  Server other_server{1, implicit_deadline(50, 100)};
  Task greedy{&greedy_server};
  Task other{&other_server};
};

// A tenth for itself and 15 hundredths for best-effort tasks: 100 last for 400, and a bit of the last one is lost.
TEST(ReclaimingAlone, LeavesWhatIsBeyondTheBound) {
  CpuScheduler cpu;
  Server server(0, reclaiming(100, 1000));
  ASSERT_EQ(cpu.admit(server).verdict, Verdict::Admitted);
  Task task(&server);
  cpu.wake(task, 0);
  EXPECT_EQ(cpu.choose(0), &task);
  EXPECT_EQ(cpu.next_event(), 397);
  EXPECT_EQ(cpu.choose(396), &task);
  EXPECT_EQ(cpu.choose(397), nullptr);
  EXPECT_EQ(cpu.next_event(), 1000);
  EXPECT_EQ(server.counters().ran, 397);
  EXPECT_EQ(server.counters().reclaimed, 297);
  EXPECT_EQ(server.counters().max_overrun, 0);
  EXPECT_EQ(cpu.choose(1000), &task);
  EXPECT_EQ(cpu.next_event(), 1397);
}

// At 10 the other has 40 left, which are worth the time from 20 to 100. Until 20 a nanosecond costs 0.6, then 0.1.
TEST_F(Reclaiming, CostsLessWhenAnotherLeavesItsBudget) {
  cpu.wake(greedy, 0);
  cpu.wake(other, 0);
  EXPECT_EQ(cpu.choose(0), &other);
  cpu.block(other, 10);
  EXPECT_EQ(cpu.choose(10), &greedy);
  EXPECT_EQ(cpu.next_event(), 176);  // as if the other stayed active
  EXPECT_EQ(cpu.choose(176), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 78);  // 100 - 6 - 15.6
  EXPECT_EQ(cpu.next_event(), 951);
  EXPECT_EQ(cpu.choose(950), &greedy);
  EXPECT_EQ(cpu.choose(951), nullptr);
}

TEST_F(Reclaiming, CostsMoreFromTheTimeOnThatAnotherGetsWork) {
  cpu.wake(greedy, 0);
  EXPECT_EQ(cpu.choose(0), &greedy);
  cpu.wake(other, 500);
  EXPECT_EQ(cpu.choose(500), &other);
  EXPECT_EQ(greedy_server.cbs().budget(), 50);
  cpu.block(other, 550);  // nothing is left to it: active until 600
  EXPECT_EQ(cpu.choose(550), &greedy);
  EXPECT_EQ(cpu.choose(600), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 20);
  EXPECT_EQ(cpu.choose(700), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 10);
}

// It goes on with what it has kept, so it has been active all along.
TEST_F(Reclaiming, OneThatGetsWorkBeforeItIsInactiveStaysActive) {
  cpu.wake(greedy, 0);
  cpu.wake(other, 0);
  EXPECT_EQ(cpu.choose(0), &other);
  cpu.block(other, 10);
  EXPECT_EQ(cpu.choose(10), &greedy);
  cpu.wake(other, 15);
  EXPECT_EQ(cpu.choose(15), &other);
  EXPECT_EQ(greedy_server.cbs().budget(), 97);
  cpu.block(other, 25);  // 30 left: until 40
  EXPECT_EQ(cpu.choose(25), &greedy);
  EXPECT_EQ(cpu.choose(40), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 88);
}

TEST_F(Reclaiming, CostsTheSameHoweverOftenTheCpuIsAsked) {
  cpu.wake(greedy, 0);
  for (Time now = 0; now <= 95; ++now) EXPECT_EQ(cpu.choose(now), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 90);  // 90.5
  EXPECT_EQ(greedy_server.counters().reclaimed, 85);
}

TEST_F(Reclaiming, KnowsOfThoseThatWereThereBefore) {
  Server third_server(2, implicit_deadline(100, 1000));
  Task third(&third_server);
  ASSERT_EQ(cpu.admit(third_server).verdict, Verdict::Admitted);
  cpu.wake(other, 0);
  cpu.wake(third, 0);
  EXPECT_EQ(cpu.choose(0), &other);
  cpu.block(other, 10);  // active until 20
  EXPECT_EQ(cpu.choose(10), &third);
  cpu.wake(greedy, 15);  // d = 1015
  EXPECT_EQ(cpu.choose(15), &third);
  cpu.block(third, 18);  // 92 left: active until 80
  EXPECT_EQ(cpu.choose(18), &greedy);
  EXPECT_EQ(cpu.choose(100), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 84);  // 2 * 0.7, 60 * 0.2, 20 * 0.1
}

TEST_F(Reclaiming, OneThatIsTakenBackIsInactive) {
  cpu.wake(greedy, 0);
  cpu.wake(other, 0);
  EXPECT_EQ(cpu.choose(0), &other);
  cpu.block(other, 20);  // active until 40
  EXPECT_EQ(cpu.choose(20), &greedy);
  cpu.remove(other_server, 30);
  EXPECT_EQ(cpu.choose(130), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 84);  // 10 * 0.6, 100 * 0.1
}

TEST_F(Reclaiming, BeginsAnewAfterTheLastOneWasTakenBack) {
  cpu.wake(greedy, 0);
  cpu.wake(other, 0);
  EXPECT_EQ(cpu.choose(0), &other);
  cpu.block(other, 20);
  cpu.block(greedy, 20);
  cpu.remove(greedy_server, 20);
  Server again_server(2, reclaiming(100, 1000));
  Task again(&again_server);
  ASSERT_EQ(cpu.admit(again_server).verdict, Verdict::Admitted);
  cpu.wake(again, 30);
  EXPECT_EQ(cpu.choose(30), &again);
  EXPECT_EQ(cpu.choose(60), &again);
  EXPECT_EQ(again_server.cbs().budget(), 92);  // 10 * 0.6, 20 * 0.1
}

// Others wait for it, and it has no budget of its own that others' time could stretch.
TEST_F(Reclaiming, OneThatGoesOnWithoutBudgetIsChargedInFull) {
  cpu.wake(greedy, 0);
  cpu.inherit(greedy, 50);
  EXPECT_EQ(cpu.choose(0), &greedy);
  EXPECT_EQ(cpu.next_event(), 991);
  EXPECT_EQ(cpu.choose(991), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 0);
  EXPECT_EQ(cpu.choose(999), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), -8);
  EXPECT_EQ(greedy_server.counters().max_overrun, 8);
}

TEST_F(Reclaiming, PausesOfTheMachineAreRepaid) {
  cpu.wake(greedy, 0);
  EXPECT_EQ(cpu.choose(0), &greedy);
  constexpr Time kYear = 365LL * 24 * 3600 * 1'000'000'000;
  EXPECT_EQ(cpu.choose(kYear), &greedy);  // out of budget, but its period has passed as well
  EXPECT_EQ(greedy_server.cbs().budget(), 100);
  EXPECT_EQ(greedy_server.cbs().deadline(), kYear + 1000);
}

// D < P: the density counts. 10 left are worth 40 before the deadline of 50.
TEST(ReclaimingConstrained, ServerIsActiveForItsDeadlineNotItsPeriod) {
  CpuScheduler cpu(kWholeCpu);
  Server greedy_server(0, reclaiming(100, 1000));
  Server other_server(1, {.budget = 20, .period = 400, .deadline = 80});
  ASSERT_EQ(cpu.admit(greedy_server).verdict, Verdict::Admitted);
  ASSERT_EQ(cpu.admit(other_server).verdict, Verdict::Admitted);
  Task greedy(&greedy_server);
  Task other(&other_server);
  cpu.wake(greedy, 0);
  cpu.wake(other, 0);
  EXPECT_EQ(cpu.choose(0), &other);
  cpu.block(other, 10);
  EXPECT_EQ(cpu.choose(10), &greedy);
  EXPECT_EQ(cpu.choose(40), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 89);  // 30 * 0.35
  EXPECT_EQ(cpu.choose(140), &greedy);
  EXPECT_EQ(greedy_server.cbs().budget(), 79);
}

}  // namespace
}  // namespace guest::sched
