#include "guest/kernel/threads/dispatcher.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::threads {
namespace {

constexpr sched::ServerParameters implicit(sched::Time budget, sched::Time period) {
  return {.budget = budget, .period = period, .deadline = period};
}

TEST(Dispatcher, a_thread_runs_and_is_joined) {
  std::string said;
  const ThreadRef worker = start("worker", [&] { said += "worked "; });
  const ThreadRef waiter = start("waiter", [&] {
    worker->join();
    said += "joined";
  });
  EXPECT_EQ(find_thread(worker->id())->name(), "worker");
  run_until_idle();
  EXPECT_EQ(said, "worked joined");
  EXPECT_FALSE(find_thread(worker->id()));
  EXPECT_EQ(worker->state(), ThreadState::Exited);
}

TEST(Dispatcher, best_effort_threads_take_turns) {
  std::vector<char> order;
  const auto body = [&](char name) {
    return [&order, name] {
      for (int i = 0; i < 3; ++i) {
        work(sched::CpuScheduler::kSlice);
        order.push_back(name);
      }
    };
  };
  start("a", body('a'));
  start("b", body('b'));
  run_until_idle();
  EXPECT_EQ(std::string(order.begin(), order.end()), "ababab");
}

TEST(Dispatcher, a_yield_lets_the_other_go) {
  std::string order;
  for (const char name : {'a', 'b'}) {
    start("yields", [&order, name] {
      for (int i = 0; i < 3; ++i) {
        order += name;
        yield();
      }
    });
  }
  run_until_idle();
  EXPECT_EQ(order, "ababab");
}

TEST(Dispatcher, a_sleep_ends_on_time) {
  const std::uint64_t begin = now_ns();
  std::vector<std::uint64_t> woke;
  for (const std::uint64_t ns : {300U, 100U, 200U}) {
    start("sleeper", [&woke, begin, ns] {
      EXPECT_TRUE(sleep_for(ns));
      woke.push_back(now_ns() - begin);
    });
  }
  run_until_idle();
  EXPECT_EQ(woke, (std::vector<std::uint64_t>{100, 200, 300}));
}

TEST(Dispatcher, a_thread_that_is_asked_to_stop_sleeps_no_more) {
  bool slept = true;
  const ThreadRef sleeper = start("sleeper", [&] { slept = sleep_for(1'000'000'000'000); });
  start("killer", [&] {
    EXPECT_TRUE(sleep_for(10));
    sleeper->request_stop();
  });
  const std::uint64_t begin = now_ns();
  run_until_idle();
  EXPECT_FALSE(slept);
  EXPECT_LT(now_ns() - begin, 1'000'000'000'000U);
}

TEST(Dispatcher, an_unpark_before_the_park_counts_once) {
  int parked = 0;
  const ThreadRef parks = start("parks", [&] {
    yield();
    dispatcher().park();
    parked = 1;
    dispatcher().park();
    parked = 2;
  });
  const auto unpark = [&] {
    Waking waking;
    waking.unpark(*parks);
    waking.unpark(*parks);
  };
  start("unparks", unpark);
  run_until_idle();
  EXPECT_EQ(parked, 1);
  start("unparks", unpark);
  run_until_idle();
  EXPECT_EQ(parked, 2);
}

// Of 100 in each 1,000 it uses 20. Charged with what was stolen it would wait for 500 periods.
TEST(Dispatcher, stolen_time_is_not_charged) {
  sched::Server server(0, implicit(100, 1'000));
  admit(server);
  sched::Time ran = 0;
  std::uint64_t took = 0;
  start(
      "robbed",
      [&] {
        const std::uint64_t begin = now_ns();
        work(10);
        steal(50'000);
        work(10);
        ran = dispatcher().current_ran();
        took = now_ns() - begin;
      },
      0, &server);
  run_until_idle();
  EXPECT_EQ(took, 50'020U);
  EXPECT_EQ(ran, 20);
  EXPECT_EQ(server.counters().throttles, 0U);
  find_dispatcher(0)->admissions().remove(server, find_dispatcher(0)->now());
}

TEST(Dispatcher, a_budget_is_enforced_by_the_timer) {
  sched::Server server(0, implicit(2'000, 10'000));
  admit(server);
  std::uint64_t best_effort_ran = 0;
  const std::uint64_t begin = now_ns();
  const ThreadRef greedy = start("greedy", [] { work(10'000); }, 0, &server);
  start("other", [&] {
    while (now_ns() < begin + 50'000) {
      work(100);
      best_effort_ran += 100;
    }
  });
  run_until_idle();
  EXPECT_EQ(greedy->ran(), 10'000);
  // Five periods of 2 in 10 take 42 of the 50 that the other one had to share.
  EXPECT_EQ(best_effort_ran, 40'000U);
  EXPECT_EQ(server.counters().throttles, 5U);
  EXPECT_EQ(server.counters().max_overrun, 0);
  find_dispatcher(0)->admissions().remove(server, find_dispatcher(0)->now());
}

TEST(Dispatcher, a_more_urgent_thread_preempts_when_it_is_woken) {
  sched::Server server(0, implicit(1'000, 10'000));
  admit(server);
  Semaphore semaphore;
  std::string order;
  start(
      "urgent",
      [&] {
        EXPECT_EQ(semaphore.wait(), WaitResult::Signalled);
        order += "urgent ";
      },
      0, &server);
  start("best effort", [&] {
    order += "signals ";
    semaphore.signal();
    order += "goes on";
  });
  run_until_idle();
  EXPECT_EQ(order, "signals urgent goes on");
  find_dispatcher(0)->admissions().remove(server, find_dispatcher(0)->now());
}

TEST(Dispatcher, where_interrupts_are_masked_the_woken_thread_runs_when_they_are_not) {
  sched::Server server(0, implicit(1'000, 10'000));
  admit(server);
  Semaphore semaphore;
  std::string order;
  start(
      "urgent",
      [&] {
        EXPECT_EQ(semaphore.wait(), WaitResult::Signalled);
        order += "urgent ";
      },
      0, &server);
  start("best effort", [&] {
    {
      const kernel::CriticalSection masked;
      semaphore.signal();
      order += "masked ";
    }
    work(0);  // the interrupt that is pending
    order += "goes on";
  });
  run_until_idle();
  EXPECT_EQ(order, "masked urgent goes on");
  find_dispatcher(0)->admissions().remove(server, find_dispatcher(0)->now());
}

TEST(Dispatcher, a_thread_of_another_cpu_is_woken_there) {
  Semaphore semaphore;
  std::uint32_t ran_on = 99;
  start(
      "there",
      [&] {
        EXPECT_EQ(semaphore.wait(), WaitResult::Signalled);
        ran_on = kernel::cpu_index();
      },
      1);
  run_until_idle(1);
  start("here", [&] { semaphore.signal(); });
  run_until_idle(0);
  EXPECT_EQ(ran_on, 99U);
  run_until_idle(1);
  EXPECT_EQ(ran_on, 1U);
}

TEST(Dispatcher, a_thread_on_no_cpu_is_refused) {
  start("tries", [] {
    const auto thread = spawn({.name = "nowhere", .cpu = 5}, [](void*) {}, nullptr);
    ASSERT_FALSE(thread.has_value());
    EXPECT_EQ(thread.error(), kernel::Status::OutOfRange);
  });
  run_until_idle();
}

TEST(Dispatcher, threads_are_listed_by_id) {
  const ThreadRef first = start("first", [] { (void)sleep_for(10); });
  const ThreadRef second = start("second", [] { (void)sleep_for(10); });
  EXPECT_EQ(next_thread(first->id())->id(), second->id());
  EXPECT_FALSE(next_thread(second->id()));
  EXPECT_FALSE(find_thread(0));
  run_until_idle();
  EXPECT_FALSE(next_thread(0));
}

TEST(DispatcherDeathTest, a_thread_with_a_spin_lock_does_not_wait) {
  EXPECT_DEATH(
      {
        kernel::SpinLock lock("test", kernel::LockRank::Log);
        start("waits", [&] {
          const kernel::SpinGuard guard(lock);
          dispatcher().park();
        });
        run_until_idle();
      },
      "holds a spin lock");
}

TEST(DispatcherDeathTest, the_idle_thread_does_not_wait) {
  run_until_idle();
  EXPECT_DEATH(dispatcher().park(), "idle thread waits");
}

}  // namespace
}  // namespace guest::threads
