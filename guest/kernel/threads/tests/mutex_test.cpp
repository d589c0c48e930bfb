#include "guest/kernel/threads/mutex.hpp"

#include <gtest/gtest.h>

#include <string>

#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::threads {
namespace {

class MutexTest : public ::testing::Test {
 protected:
  MutexTest() {
    admit(urgent);
    admit(middle);
  }
  ~MutexTest() override {
    find_dispatcher(0)->admissions().remove(urgent, find_dispatcher(0)->now());
    find_dispatcher(0)->admissions().remove(middle, find_dispatcher(0)->now());
  }
  sched::Server urgent{0, {.budget = 1'000, .period = 10'000, .deadline = 10'000}};
  sched::Server middle{1, {.budget = 500'000, .period = 1'000'000, .deadline = 1'000'000}};
  std::string order;
};

TEST_F(MutexTest, is_held_by_one_at_a_time_in_the_order_of_coming) {
  Mutex mutex;
  int inside = 0;
  for (const char name : {'a', 'b', 'c'}) {
    start("locks", [&, name] {
      const MutexGuard guard(mutex);
      EXPECT_EQ(++inside, 1);
      EXPECT_TRUE(sleep_for(100));
      order += name;
      --inside;
    });
  }
  run_until_idle();
  EXPECT_EQ(order, "abc");
  EXPECT_FALSE(mutex.held_here());
}

TEST_F(MutexTest, try_lock_takes_a_free_one_only) {
  Mutex mutex;
  start("holds", [&] {
    EXPECT_TRUE(mutex.try_lock());
    EXPECT_FALSE(mutex.try_lock());
    EXPECT_TRUE(sleep_for(100));
    mutex.unlock();
  });
  start("tries", [&] { EXPECT_FALSE(mutex.try_lock()); });
  run_until_idle();
}

TEST_F(MutexTest, the_holder_inherits_the_deadline_of_who_waits) {
  Mutex mutex;
  // Without inheritance the middle one would keep the holder, and with it the urgent one, from the CPU.
  start("holds", [&] {
    const MutexGuard guard(mutex);
    work(1'000);
    order += "holder ";
  });
  start(
      "middle",
      [&] {
        EXPECT_TRUE(sleep_for(200));
        work(100'000);
        order += "middle ";
      },
      0, &middle);
  start(
      "urgent",
      [&] {
        EXPECT_TRUE(sleep_for(100));
        const MutexGuard guard(mutex);
        order += "urgent ";
      },
      0, &urgent);
  run_until_idle();
  EXPECT_EQ(order, "holder urgent middle ");
}

TEST_F(MutexTest, deadlines_pass_along_a_chain) {
  Mutex first;
  Mutex second;
  start("holds second", [&] {
    const MutexGuard guard(second);
    EXPECT_TRUE(sleep_for(50));  // until the other two have come
    work(1'000);
    order += "second ";
  });
  start("holds first", [&] {
    const MutexGuard guard(first);
    const MutexGuard wants(second);
    order += "first ";
  });
  start(
      "urgent",
      [&] {
        EXPECT_TRUE(sleep_for(10));
        const MutexGuard guard(first);
        order += "urgent ";
      },
      0, &urgent);
  start(
      "middle",
      [&] {
        EXPECT_TRUE(sleep_for(20));
        work(100'000);
        order += "middle ";
      },
      0, &middle);
  run_until_idle();
  EXPECT_EQ(order, "second first urgent middle ");
}

TEST_F(MutexTest, what_is_inherited_ends_with_the_mutex) {
  Mutex mutex;
  start("holds", [&] {
    {
      const MutexGuard guard(mutex);
      work(1'000);
    }
    EXPECT_EQ(current_thread().deadline(), sched::kNever);
    work(1'000);
    order += "holder ";
  });
  start(
      "urgent",
      [&] {
        EXPECT_TRUE(sleep_for(100));
        const MutexGuard guard(mutex);
        work(500);
        order += "urgent ";
      },
      0, &urgent);
  run_until_idle();
  EXPECT_EQ(order, "urgent holder ");
}

TEST_F(MutexTest, a_holder_on_another_cpu_inherits_too) {
  Mutex mutex;
  Semaphore go_other;
  Semaphore go_holder;
  start(
      "holds",
      [&] {
        const MutexGuard guard(mutex);
        EXPECT_EQ(go_holder.wait(), WaitResult::Signalled);
        work(1'000);
        order += "holder ";
      },
      1);
  start(
      "other",
      [&] {
        EXPECT_EQ(go_other.wait(), WaitResult::Signalled);
        work(1'000);
        order += "other ";
      },
      1);
  run_until_idle(1);
  start(
      "urgent",
      [&] {
        go_other.signal();  // the first in the queue of CPU 1
        go_holder.signal();
        const MutexGuard guard(mutex);
        order += "urgent ";
      },
      0, &urgent);
  run_until_idle(0);
  run_until_idle(1);
  run_until_idle(0);
  EXPECT_EQ(order, "holder other urgent ");
}

TEST_F(MutexTest, a_holder_out_of_budget_goes_on_for_a_best_effort_thread) {
  Mutex mutex;
  start(
      "holds",
      [&] {
        {
          const MutexGuard guard(mutex);
          work(3'000);  // three times its budget
        }
        work(1);
        order += "holder ";
      },
      0, &urgent);
  start("waits", [&] {
    const std::uint64_t began = now_ns();
    const MutexGuard guard(mutex);
    EXPECT_LE(now_ns() - began, 2'000U);
    order += "waiter ";
  });
  run_until_idle();
  EXPECT_EQ(order, "waiter holder ");  // which repays its overrun first
}

TEST_F(MutexTest, a_holder_that_is_waited_for_goes_before_best_effort_threads) {
  Mutex mutex;
  start(
      "holds",
      [&] {
        const MutexGuard guard(mutex);
        EXPECT_TRUE(sleep_for(200));  // until both others have come
        work(3'000);                  // three times its budget
        order += "holder ";
      },
      0, &urgent);
  start("waits", [&] {
    EXPECT_TRUE(sleep_for(100));
    const MutexGuard guard(mutex);
    order += "waiter ";
  });
  start("busy", [&] {
    EXPECT_TRUE(sleep_for(150));
    work(5'000);  // which ends before the holder's next period
    order += "busy ";
  });
  run_until_idle();
  EXPECT_EQ(order, "holder busy waiter ");
}

TEST_F(MutexTest, a_holder_of_two_goes_on_until_nobody_waits_for_either) {
  Mutex first;
  Mutex second;
  const std::uint64_t began = now_ns();
  start(
      "holds",
      [&] {
        const MutexGuard outer(first);
        {
          const MutexGuard inner(second);
          EXPECT_TRUE(sleep_for(200));  // until both have come
          work(2'000);
        }
        work(1'000);
        order += "holder ";
      },
      0, &urgent);
  for (Mutex* const mutex : {&first, &second}) {
    start("waits", [&order = order, mutex, began] {
      const MutexGuard guard(*mutex);
      EXPECT_LE(now_ns() - began, 3'300U);
      order += "waiter ";
    });
  }
  run_until_idle();
  EXPECT_EQ(order, "holder waiter waiter ");
}

TEST_F(MutexTest, a_second_lock_by_its_holder_is_a_deadlock) {
  EXPECT_DEATH(
      {
        Mutex mutex;
        start("twice", [&] {
          mutex.lock();
          mutex.lock();
        });
        run_until_idle();
      },
      "deadlock");
}

TEST_F(MutexTest, a_circle_of_holders_is_a_deadlock) {
  EXPECT_DEATH(
      {
        Mutex first;
        Mutex second;
        start("one", [&] {
          const MutexGuard guard(first);
          yield();
          const MutexGuard wants(second);
        });
        start("two", [&] {
          const MutexGuard guard(second);
          yield();
          const MutexGuard wants(first);
        });
        run_until_idle();
      },
      "deadlock");
}

TEST_F(MutexTest, is_unlocked_by_its_holder_only) {
  EXPECT_DEATH(
      {
        Mutex mutex;
        start("holds", [&] {
          mutex.lock();
          (void)sleep_for(100);
        });
        start("unlocks", [&] { mutex.unlock(); });
        run_until_idle();
      },
      "does not hold it");
}

}  // namespace
}  // namespace guest::threads
