// Time that a hypervisor stole is charged to nobody.
#include "guest/kernel/sched/stolen_time.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <random>

#include "guest/kernel/sched/cpu_scheduler.hpp"

namespace guest::sched {
namespace {

TEST(StolenTime, IsNothingWhereNobodyTells) {
  const StolenTime stolen(nullptr);
  EXPECT_FALSE(stolen.is_told());
  EXPECT_FALSE(stolen.total_ns().has_value());
}

TEST(StolenTime, IsTakenOnce) {
  StolenCounter counter{1'000};  // before this kernel looked
  StolenTime stolen(&counter);
  EXPECT_EQ(stolen.take(50), 0);
  counter += 30;
  EXPECT_EQ(stolen.pending(50), 30);
  EXPECT_EQ(stolen.take(50), 30);
  EXPECT_EQ(stolen.take(50), 0);
  EXPECT_EQ(stolen.total_ns(), 1'030U);
}

// 40 in an interval of 10: the CPU was stopped after its clock was read, and before the counter was.
TEST(StolenTime, OfTheNextIntervalIsLeftForIt) {
  StolenCounter counter{0};
  StolenTime stolen(&counter);
  counter += 40;
  EXPECT_EQ(stolen.pending(10), 0);
  EXPECT_EQ(stolen.take(10), 0);
  EXPECT_EQ(stolen.take(0), 0);  // the same instant again
  EXPECT_EQ(stolen.take(41), 40);
}

TEST(StolenTime, OfACounterThatLiesIsNotBelieved) {
  StolenCounter counter{0};
  StolenTime stolen(&counter);
  counter = UINT64_MAX;
  EXPECT_EQ(stolen.take(10), 0);
  EXPECT_EQ(stolen.take(10), 0);
  counter += 6;  // and goes on from there, over the end
  EXPECT_EQ(stolen.take(10), 6);
}

TEST(StolenTime, OfACounterThatGoesBackIsNothing) {
  StolenCounter counter{1'000};
  StolenTime stolen(&counter);
  counter = 0;
  EXPECT_EQ(stolen.pending(100), 0);
  EXPECT_EQ(stolen.take(100), 0);
  EXPECT_EQ(stolen.take(100), 0);
  counter += 7;
  EXPECT_EQ(stolen.take(100), 7);
}

class StolenFromCpu : public ::testing::Test {
 protected:
  StolenCounter counter{0};
  CpuScheduler cpu{kDefaultBound, &counter};
};

// Without it this one, which has run for 2, would be throttled until 11,000: the regression that this guards.
TEST_F(StolenFromCpu, IsNotChargedToTheServerThatRan) {
  Server server(0, {.budget = 10, .period = 1'000, .deadline = 1'000});
  ASSERT_EQ(cpu.admit(server).verdict, Verdict::Admitted);
  Task task(&server);
  cpu.wake(task, 0);
  EXPECT_EQ(cpu.choose(0), &task);
  EXPECT_EQ(cpu.next_event(), 10);
  counter += 100;
  EXPECT_EQ(cpu.choose(102), &task);
  EXPECT_EQ(server.cbs().budget(), 8);
  EXPECT_EQ(server.counters().ran, 2);
  EXPECT_EQ(cpu.next_event(), 110);
  EXPECT_EQ(cpu.choose(110), nullptr);
  EXPECT_EQ(server.counters().max_overrun, 0);
  EXPECT_EQ(cpu.next_event(), 1'000);
  EXPECT_EQ(cpu.choose(1'000), &task);
}

TEST_F(StolenFromCpu, IsNotChargedToWhoSleeps) {
  Server server(0, {.budget = 10, .period = 1'000, .deadline = 1'000});
  ASSERT_EQ(cpu.admit(server).verdict, Verdict::Admitted);
  Task task(&server);
  cpu.wake(task, 0);
  EXPECT_EQ(cpu.choose(0), &task);
  counter += 5;
  cpu.block(task, 8);
  EXPECT_EQ(server.cbs().budget(), 7);
}

TEST_F(StolenFromCpu, WhileItIsIdleIsNotGivenToWhoComesNext) {
  Task task;
  EXPECT_EQ(cpu.choose(0), nullptr);
  counter += 100;
  cpu.wake(task, 500);
  EXPECT_EQ(cpu.choose(500), &task);
  EXPECT_EQ(cpu.running_ran(700), 200);
}

TEST_F(StolenFromCpu, IsNoPartOfATurn) {
  Task a;
  Task b;
  cpu.wake(a, 0);
  cpu.wake(b, 0);
  EXPECT_EQ(cpu.choose(0), &a);
  counter += 2 * CpuScheduler::kSlice;
  EXPECT_EQ(cpu.choose(2 * CpuScheduler::kSlice + 5), &a);
  EXPECT_EQ(a.ran(), 5);
  EXPECT_EQ(cpu.next_event(), 3 * CpuScheduler::kSlice);
}

TEST_F(StolenFromCpu, IsNotCountedForWhoYields) {
  Task a;
  Task b;
  cpu.wake(a, 0);
  cpu.wake(b, 0);
  EXPECT_EQ(cpu.choose(0), &a);
  counter += 100;
  cpu.yield(130);
  EXPECT_EQ(a.ran(), 30);
}

TEST_F(StolenFromCpu, IsNoPartOfWhatTheRunningTaskHasHad) {
  Task task;
  cpu.wake(task, 0);
  EXPECT_EQ(cpu.choose(0), &task);
  counter += 100;
  EXPECT_EQ(cpu.running_ran(110), 10);
  EXPECT_EQ(cpu.choose(110), &task);
  EXPECT_EQ(cpu.running_ran(110), 10);
}

// 0.25 of each nanosecond alone, 0.75 with the other: 8 of 20 are stolen before the other gets work, 30 of 50 after.
TEST_F(StolenFromCpu, IsNotChargedToOneThatReclaims) {
  Server greedy_server(0, {.budget = 100, .period = 1'000, .deadline = 1'000, .reclaim = true});
  Server other_server(1, {.budget = 500, .period = 1'000, .deadline = 1'000});
  ASSERT_EQ(cpu.admit(greedy_server).verdict, Verdict::Admitted);
  ASSERT_EQ(cpu.admit(other_server).verdict, Verdict::Admitted);
  Task greedy(&greedy_server);
  Task other(&other_server);
  cpu.wake(greedy, 0);
  EXPECT_EQ(cpu.choose(0), &greedy);
  counter += 8;
  cpu.wake(other, 20);
  counter += 30;
  EXPECT_EQ(cpu.running_ran(70), 32);
  EXPECT_EQ(cpu.choose(70), &greedy);
  EXPECT_EQ(greedy_server.counters().ran, 32);
  EXPECT_EQ(greedy_server.cbs().budget(), 82);  // 12 * 0.25 and 20 * 0.75
  EXPECT_EQ(greedy_server.counters().reclaimed, 14);
}

/// A CPU from which time is stolen at random, with hard servers that always have work.
class GreedyServers {
 public:
  explicit GreedyServers(std::uint64_t seed) : random_(seed) {
    for (std::uint32_t id = 0; id < 3; ++id) {
      const Time period = pick(20, 2'000);
      servers_.emplace_back(id, ServerParameters{.budget = pick(1, period / 4), .period = period, .deadline = period});
      tasks_.emplace_back(&servers_.back());
      EXPECT_EQ(cpu_.admit(servers_.back()).verdict, Verdict::Admitted);
      cpu_.wake(tasks_.back(), 0);
    }
  }

  void run_until(Time end) {
    while (now_ < end) {
      const Task* const task = cpu_.choose(now_);
      const Time next = cpu_.next_event();
      Time theft = pick(0, 3) == 0 ? pick(1, 5'000) : 0;
      if (task == nullptr) {
        // The CPU sleeps up to the event, and comes back late.
        now_ = next;
      } else {
        // It works, is stopped, and works on until the timer's interrupt.
        const Time worked = pick(0, next - now_);
        had_[task->server()->id()] += worked;
        now_ += worked;
        const Time rest = theft == 0 ? next - now_ : 0;
        had_[task->server()->id()] += rest;
        now_ += rest;
      }
      now_ += theft;
      counter_ += static_cast<std::uint64_t>(theft);
    }
    cpu_.choose(now_);
  }

  /// Of each: the budgets that it was given are what it has had and what is left.
  void expect_budgets_of_what_they_had() const {
    for (const Server& server : servers_) {
      const Cbs& cbs = server.cbs();
      const auto given = static_cast<Time>(server.counters().throttles + (cbs.throttled() ? 0 : 1));
      EXPECT_EQ(given * cbs.parameters().budget, had_[server.id()] + cbs.budget()) << "server " << server.id();
      EXPECT_EQ(server.counters().max_overrun, 0) << "server " << server.id();
    }
  }

  [[nodiscard]] Time stolen() const { return static_cast<Time>(counter_.load()); }

 private:
  Time pick(Time least, Time most) { return std::uniform_int_distribution<Time>(least, most)(random_); }

  std::mt19937_64 random_;
  StolenCounter counter_{0};
  CpuScheduler cpu_{kDefaultBound, &counter_};
  std::deque<Server> servers_;
  std::deque<Task> tasks_;
  Time had_[3] = {};
  Time now_ = 0;
};

TEST(RandomThefts, BudgetsAreOfTimeThatWasNotStolen) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    GreedyServers cpu(seed);
    cpu.run_until(200'000);
    cpu.expect_budgets_of_what_they_had();
    EXPECT_GT(cpu.stolen(), 50'000);
  }
}

}  // namespace
}  // namespace guest::sched
