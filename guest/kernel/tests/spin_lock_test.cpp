#include "guest/kernel/spin_lock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/format.hpp"
#include "guest/kernel/host_cpu.hpp"

namespace guest::kernel {
namespace {

constexpr LockRank kOuter{10};
constexpr LockRank kInner{20};

TEST(SpinLock, holders_exclude_each_other) {
  SpinLock lock("test", kOuter);
  constexpr unsigned kRounds = 20'000;
  constexpr std::uint32_t kThreads = 4;
  unsigned long counter = 0;  // not atomic: the lock is what keeps the sum right
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (std::uint32_t cpu = 0; cpu < kThreads; ++cpu) {
    threads.emplace_back([&, cpu] {
      const HostCpu identity(cpu);
      for (unsigned i = 0; i < kRounds; ++i) {
        const SpinGuard guard(lock);
        ++counter;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(counter, kThreads * kRounds);
  EXPECT_EQ(lock.statistics().acquisitions, kThreads * kRounds);
}

TEST(SpinLock, waiters_are_served_in_the_order_of_their_arrival) {
  SpinLock lock("test", kOuter);
  std::vector<std::uint32_t> order;
  std::vector<std::thread> threads;
  std::atomic<std::uint32_t> arrived{0};
  {
    const HostCpu identity(7);
    const SpinGuard guard(lock);
    for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
      threads.emplace_back([&, cpu] {
        const HostCpu self(cpu);
        arrived.fetch_add(1);
        const SpinGuard inner(lock);
        order.push_back(cpu);
      });
      while (arrived.load() != cpu + 1) {
        std::this_thread::yield();
      }
      // Between the count and the ticket are a few instructions.
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(order, (std::vector<std::uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(lock.statistics().contended, 4U);
}

TEST(SpinLock, rising_ranks_nest) {
  SpinLock outer("outer", kOuter);
  SpinLock inner("inner", kInner);
  {
    const SpinGuard first(outer);
    const SpinGuard second(inner);
    EXPECT_TRUE(outer.held_here());
    EXPECT_TRUE(inner.held_here());
  }
  EXPECT_FALSE(outer.held_here());
  EXPECT_FALSE(inner.held_here());
}

TEST(SpinLock, a_lock_that_another_cpu_holds_is_not_held_here) {
  SpinLock lock("test", kOuter);
  const SpinGuard guard(lock);
  const HostCpu other(3);
  EXPECT_FALSE(lock.held_here());
}

TEST(SpinLock, held_time_and_count_are_measured) {
  SpinLock lock("test", kOuter);
  for (const int milliseconds : {1, 5}) {
    const SpinGuard guard(lock);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  }
  const LockStatistics statistics = lock.statistics();
  EXPECT_EQ(statistics.acquisitions, 2U);
  EXPECT_EQ(statistics.contended, 0U);
  EXPECT_GE(statistics.max_held_ticks, 5'000'000U);  // the host's tick is a nanosecond
  EXPECT_GE(statistics.total_held_ticks, statistics.max_held_ticks + 1'000'000);
}

TEST(SpinLock, locks_of_one_name_are_measured_together_even_when_they_are_gone) {
  for (int i = 0; i < 3; ++i) {
    SpinLock lock("passing", kOuter);
    const SpinGuard guard(lock);
  }
  const LockClass& passing = lock_class("passing");
  EXPECT_EQ(passing.name(), "passing");
  EXPECT_EQ(passing.read().acquisitions, 3U);
  EXPECT_GE(passing.read().total_held_ticks, passing.read().max_held_ticks);
}

TEST(LockClass, texts_that_are_equal_are_one_name_wherever_they_are) {
  static constexpr char kHere[] = "two places";
  static constexpr char kThere[] = "two places";
  ASSERT_NE(static_cast<const void*>(kHere), static_cast<const void*>(kThere));
  EXPECT_EQ(&lock_class(kHere), &lock_class(kThere));
  EXPECT_NE(&lock_class(kHere), &lock_class("two other places"));
}

TEST(LockClass, waits_are_counted_and_the_longest_time_is_kept) {
  LockClass measured;
  measured.count(false);
  measured.count(true);
  measured.count(false);
  for (const std::uint64_t ticks : {3U, 7U, 5U}) {
    measured.add(ticks);
  }
  EXPECT_EQ(measured.read().acquisitions, 3U);
  EXPECT_EQ(measured.read().contended, 1U);
  EXPECT_EQ(measured.read().total_held_ticks, 15U);
  EXPECT_EQ(measured.read().max_held_ticks, 7U);
}

/// In a process of its own: there is no way back from a full table.
TEST(LockClass, the_last_is_of_all_names_that_there_is_no_room_for) {
  const auto fill = [] {
    static std::string names[kMaxLockClasses + 1];
    for (std::size_t i = 0; i <= kMaxLockClasses; ++i) {
      names[i] = "filler " + std::to_string(i);
      lock_class(names[i]).count(false);
    }
    const LockClass* const last = find_lock_class(kMaxLockClasses - 1);
    const bool shared = last == &lock_class(names[kMaxLockClasses]) && last->read().acquisitions >= 2;
    std::_Exit(shared && find_lock_class(kMaxLockClasses) == nullptr ? 0 : 1);
  };
  EXPECT_EXIT(fill(), ::testing::ExitedWithCode(0), "");
}

TEST(SpinLock, a_description_names_what_a_cpu_holds_innermost_first) {
  SpinLock outer("outer", kOuter);
  SpinLock inner("inner", kInner);
  FixedText<512> text;
  describe_locks(text, 0);
  EXPECT_EQ(text.view(), "");
  const SpinGuard first(outer);
  const SpinGuard second(inner);
  describe_locks(text, 0);
  EXPECT_THAT(std::string(text.view()),
              ::testing::MatchesRegex("; holds spin lock 'inner' since .*spin_lock_test.cpp:[0-9]+; holds spin lock "
                                      "'outer' since .*spin_lock_test.cpp:[0-9]+"));
}

TEST(SpinLockDeath, falling_ranks_panic_with_both_locks_and_both_places) {
  SpinLock outer("outer", kOuter);
  SpinLock inner("inner", kInner);
  const auto invert = [&] {
    const SpinGuard first(inner);
    const SpinGuard second(outer);
  };
  EXPECT_DEATH(invert(),
               "lock order: CPU 0 takes 'outer' \\(rank 10\\) at .*spin_lock_test.cpp:[0-9]+ and holds 'inner' \\(rank "
               "20\\) since .*spin_lock_test.cpp:[0-9]+");
}

TEST(SpinLockDeath, equal_ranks_panic) {
  SpinLock one("one", kOuter);
  SpinLock two("two", kOuter);
  const auto nest = [&] {
    const SpinGuard first(one);
    const SpinGuard second(two);
  };
  EXPECT_DEATH(nest(), "lock order: CPU 0 takes 'two'");
}

TEST(SpinLockDeath, reentry_panics_with_both_places) {
  SpinLock lock("test", kOuter);
  SpinLock inner("inner", kInner);
  const auto reenter = [&] {
    const SpinGuard first(lock);
    const SpinGuard between(inner);
    const SpinGuard second(lock);
  };
  EXPECT_DEATH(reenter(),
               "spin lock 'test' is taken at .*spin_lock_test.cpp:[0-9]+ by CPU 0, which holds it since "
               ".*spin_lock_test.cpp:[0-9]+");
}

TEST(SpinLockDeath, release_out_of_order_panics) {
  SpinLock outer("outer", kOuter);
  SpinLock inner("inner", kInner);
  const auto cross = [&] {
    const InterruptState first = outer.acquire();
    (void)inner.acquire();
    outer.release(first);
  };
  EXPECT_DEATH(cross(), "spin lock 'outer' is released, but it is not the last one");
}

}  // namespace
}  // namespace guest::kernel
