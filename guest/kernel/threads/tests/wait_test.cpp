#include <gtest/gtest.h>

#include <string>

#include "guest/kernel/threads/condition.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/kernel/threads/semaphore.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"

namespace guest::threads {
namespace {

TEST(SemaphoreTest, counts) {
  Semaphore semaphore(2);
  EXPECT_TRUE(semaphore.try_wait());
  EXPECT_TRUE(semaphore.try_wait());
  EXPECT_FALSE(semaphore.try_wait());
  semaphore.signal();
  EXPECT_TRUE(semaphore.try_wait());
}

TEST(SemaphoreTest, a_wait_ends_at_its_deadline) {
  Semaphore semaphore;
  const std::uint64_t begin = now_ns();
  WaitResult result = WaitResult::Signalled;
  start("waits", [&] { result = semaphore.wait(begin + 500); });
  run_until_idle();
  EXPECT_EQ(result, WaitResult::TimedOut);
  EXPECT_EQ(now_ns(), begin + 500);
  semaphore.signal();  // nobody is in the list any more
  EXPECT_TRUE(semaphore.try_wait());
}

TEST(SemaphoreTest, a_wait_ends_when_the_thread_is_asked_to_stop) {
  Semaphore semaphore;
  WaitResult result = WaitResult::Signalled;
  const ThreadRef waits = start("waits", [&] { result = semaphore.wait(); });
  start("kills", [&] { waits->request_stop(); });
  run_until_idle();
  EXPECT_EQ(result, WaitResult::Stopped);
}

/// What wakes a thread that waits for a mutex is not seen by the waits after it: the request itself must be.
TEST(SemaphoreTest, a_thread_that_was_asked_to_stop_while_it_locked_a_mutex_does_not_wait_any_more) {
  Mutex mutex;
  Semaphore semaphore;
  WaitResult result = WaitResult::Signalled;
  start("holds", [&] {
    const MutexGuard guard(mutex);
    EXPECT_TRUE(sleep_for(1000));
  });
  const ThreadRef waits = start("waits", [&] {
    const MutexGuard guard(mutex);
    result = semaphore.wait();
  });
  start("kills", [&] { waits->request_stop(); });
  run_until_idle();
  EXPECT_EQ(result, WaitResult::Stopped);
}

TEST(SemaphoreTest, the_most_urgent_is_first_then_who_came_first) {
  sched::Server late(0, {.budget = 10, .period = 100'000, .deadline = 100'000});
  sched::Server soon(1, {.budget = 10, .period = 1'000, .deadline = 1'000});
  admit(late);
  admit(soon);
  Semaphore semaphore;
  std::string order;
  const auto waits = [&](const char* name) {
    return [&order, &semaphore, name] {
      EXPECT_EQ(semaphore.wait(), WaitResult::Signalled);
      order += name;
    };
  };
  start("a", waits("a"));
  start("b", waits("b"));
  start("late", waits("late "), 0, &late);
  start("soon", waits("soon "), 0, &soon);
  run_until_idle();
  start("signals", [&] {
    for (int i = 0; i < 4; ++i) {
      semaphore.signal();
    }
  });
  run_until_idle();
  EXPECT_EQ(order, "soon late ab");
  find_dispatcher(0)->admissions().remove(late, find_dispatcher(0)->now());
  find_dispatcher(0)->admissions().remove(soon, find_dispatcher(0)->now());
}

TEST(ConditionTest, waits_for_a_change_under_the_mutex) {
  Mutex mutex;
  Condition condition;
  int value = 0;
  std::string order;
  for (const char name : {'a', 'b'}) {
    start("waits", [&, name] {
      const MutexGuard guard(mutex);
      while (value == 0) {
        EXPECT_EQ(condition.wait(mutex), WaitResult::Signalled);
        EXPECT_TRUE(mutex.held_here());
      }
      order += name;
      --value;
    });
  }
  start("changes", [&] {
    const MutexGuard guard(mutex);
    value = 1;
    condition.notify_all();  // both look, one finds it
  });
  run_until_idle();
  EXPECT_EQ(order, "a");
  start("changes again", [&] {
    const MutexGuard guard(mutex);
    value = 1;
    condition.notify_one();
  });
  run_until_idle();
  EXPECT_EQ(order, "ab");
}

TEST(ConditionTest, a_wait_ends_at_its_deadline_with_the_mutex) {
  Mutex mutex;
  Condition condition;
  start("waits", [&] {
    const MutexGuard guard(mutex);
    EXPECT_EQ(condition.wait(mutex, now_ns() + 100), WaitResult::TimedOut);
    EXPECT_TRUE(mutex.held_here());
  });
  run_until_idle();
}

}  // namespace
}  // namespace guest::threads
