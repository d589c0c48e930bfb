#include "guest/graph/spsc_ring.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace guest::graph {
namespace {

/// A ring with its storage.
struct Ring {
  explicit Ring(std::uint32_t capacity, std::uint64_t count = 0)
      : slots(new SpscRing::Slot[capacity]), ring({slots.get(), capacity}, count) {}
  std::unique_ptr<SpscRing::Slot[]> slots;
  SpscRing ring;
};

std::optional<std::uint32_t> pop(SpscRing& ring) {
  std::uint32_t value = 0;
  return ring.pop(value) ? std::optional(value) : std::nullopt;
}
std::optional<std::uint32_t> pop_contended(SpscRing& ring) {
  std::uint32_t value = 0;
  return ring.pop_contended(value) ? std::optional(value) : std::nullopt;
}
std::vector<std::uint32_t> pop_all(SpscRing& ring) {
  std::vector<std::uint32_t> values;
  while (const auto value = pop(ring)) {
    values.push_back(*value);
  }
  return values;
}

/// 1, 3: neither a power of two nor its neighbour hides a mistake in the wrap; 64 is one; 65,535 is the largest.
class SpscRingOfCapacity : public ::testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Capacities, SpscRingOfCapacity, ::testing::Values(1, 2, 3, 5, 64, 65'534, 65'535));

TEST_P(SpscRingOfCapacity, holds_as_many_as_its_capacity_and_refuses_the_next) {
  Ring with(GetParam());
  for (std::uint32_t i = 0; i < GetParam(); ++i) {
    ASSERT_TRUE(with.ring.push(i)) << i;
  }
  EXPECT_EQ(with.ring.depth(), GetParam());
  EXPECT_FALSE(with.ring.push(7));
  EXPECT_EQ(with.ring.depth(), GetParam());
  for (std::uint32_t i = 0; i < GetParam(); ++i) {
    ASSERT_EQ(pop(with.ring), i);
  }
  EXPECT_EQ(pop(with.ring), std::nullopt);
  EXPECT_EQ(with.ring.depth(), 0U);
}

TEST_P(SpscRingOfCapacity, keeps_the_order_over_several_times_around) {
  Ring with(GetParam());
  const std::uint32_t batch = GetParam() / 2 + 1;  // so that the wrap falls into different places of a batch
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  while (received < 3 * GetParam() + 10) {
    for (std::uint32_t i = 0; i < batch; ++i) {
      ASSERT_TRUE(with.ring.push(sent++));
    }
    for (std::uint32_t i = 0; i < batch; ++i) {
      ASSERT_EQ(pop(with.ring), received++);
    }
  }
  EXPECT_EQ(with.ring.high_water(), batch);
}

TEST_P(SpscRingOfCapacity, takes_one_again_for_each_that_was_popped_from_a_full_ring) {
  Ring with(GetParam());
  for (std::uint32_t i = 0; i < GetParam(); ++i) {
    ASSERT_TRUE(with.ring.push(i));
  }
  for (std::uint32_t i = 0; i < GetParam() + 3; ++i) {
    ASSERT_EQ(pop(with.ring), i);
    ASSERT_TRUE(with.ring.push(GetParam() + i));
    ASSERT_FALSE(with.ring.push(0));
  }
}

TEST_P(SpscRingOfCapacity, drops_the_oldest_when_it_is_full) {
  Ring with(GetParam());
  const std::uint32_t more = GetParam() + 3;
  for (std::uint32_t i = 0; i < GetParam(); ++i) {
    ASSERT_EQ(with.ring.push_over(i), std::nullopt);
  }
  for (std::uint32_t i = 0; i < more; ++i) {
    ASSERT_EQ(with.ring.push_over(GetParam() + i), i);
  }
  EXPECT_EQ(with.ring.depth(), GetParam());
  for (std::uint32_t i = 0; i < GetParam(); ++i) {
    ASSERT_EQ(pop_contended(with.ring), more + i);
  }
  EXPECT_EQ(pop_contended(with.ring), std::nullopt);
}

/// Three elements before the count of 2^48 goes around: full, empty and dropping work before, across and after.
TEST(SpscRing, goes_on_when_its_count_goes_around) {
  constexpr std::uint64_t kCount = (std::uint64_t{1} << 48) - 3;
  Ring with(2, kCount);
  for (std::uint32_t i = 0; i < 10; i += 2) {
    ASSERT_EQ(pop(with.ring), std::nullopt);
    ASSERT_TRUE(with.ring.push(i));
    ASSERT_TRUE(with.ring.push(i + 1));
    ASSERT_FALSE(with.ring.push(99));
    ASSERT_EQ(with.ring.depth(), 2U);
    ASSERT_EQ(pop(with.ring), i);
    ASSERT_EQ(pop(with.ring), i + 1);
  }
  EXPECT_EQ(with.ring.pushed(), 7U);
  EXPECT_EQ(with.ring.high_water(), 2U);
  Ring dropping(3, kCount);
  for (std::uint32_t i = 0; i < 10; ++i) {
    ASSERT_EQ(dropping.ring.push_over(i), i < 3 ? std::nullopt : std::optional(i - 3));
  }
  EXPECT_EQ(pop_contended(dropping.ring), 7U);
  EXPECT_EQ(dropping.ring.depth(), 2U);
}

TEST(SpscRing, sizes_that_no_ring_has_panic) {
  EXPECT_DEATH(SpscRing({static_cast<SpscRing::Slot*>(nullptr), 0}), "1 to 65535 slots");
  const auto slots = std::make_unique<SpscRing::Slot[]>(65'536);
  EXPECT_DEATH(SpscRing({slots.get(), 65'536}), "1 to 65535 slots");
}

TEST(SpscRing, the_high_water_mark_is_exact_while_the_ring_is_used_less_and_more) {
  Ring with(10);
  const auto push = [&](std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      ASSERT_TRUE(with.ring.push(i));
    }
  };
  EXPECT_EQ(with.ring.high_water(), 0U);
  push(3);
  EXPECT_EQ(with.ring.high_water(), 3U);
  (void)pop_all(with.ring);
  push(3);
  EXPECT_EQ(with.ring.high_water(), 3U) << "the producer's copy of the head says 6";
  push(4);
  EXPECT_EQ(with.ring.high_water(), 7U);
  (void)pop_all(with.ring);
  push(10);
  EXPECT_EQ(with.ring.high_water(), 10U);
  EXPECT_FALSE(with.ring.push(0));
  EXPECT_EQ(with.ring.high_water(), 10U);
}

TEST(SpscRing, a_consumer_that_found_nothing_is_woken_by_the_next_push_once) {
  Ring with(2);
  EXPECT_EQ(pop(with.ring), std::nullopt);
  EXPECT_TRUE(with.ring.await_element());
  EXPECT_TRUE(with.ring.push(1));
  EXPECT_TRUE(with.ring.take_waiting_consumer());
  EXPECT_TRUE(with.ring.push(2));
  EXPECT_FALSE(with.ring.take_waiting_consumer());
}

TEST(SpscRing, a_consumer_does_not_sleep_when_something_came_before_its_last_look) {
  Ring with(2);
  EXPECT_EQ(pop(with.ring), std::nullopt);
  EXPECT_TRUE(with.ring.push(1));
  EXPECT_FALSE(with.ring.take_waiting_consumer());
  EXPECT_FALSE(with.ring.await_element());
  EXPECT_TRUE(with.ring.push(2));
  EXPECT_FALSE(with.ring.take_waiting_consumer()) << "its announcement is withdrawn";
}

TEST(SpscRing, a_producer_that_found_no_room_is_woken_by_the_next_pop_once) {
  Ring with(2);
  EXPECT_TRUE(with.ring.push(1));
  EXPECT_TRUE(with.ring.push(2));
  EXPECT_FALSE(with.ring.push(3));
  EXPECT_TRUE(with.ring.await_room());
  EXPECT_EQ(pop(with.ring), 1U);
  EXPECT_TRUE(with.ring.take_waiting_producer());
  EXPECT_EQ(pop(with.ring), 2U);
  EXPECT_FALSE(with.ring.take_waiting_producer());
}

TEST(SpscRing, a_producer_does_not_sleep_when_room_came_before_its_last_look) {
  Ring with(1);
  EXPECT_TRUE(with.ring.push(1));
  EXPECT_FALSE(with.ring.push(2));
  EXPECT_EQ(pop(with.ring), 1U);
  EXPECT_FALSE(with.ring.await_room());
  EXPECT_TRUE(with.ring.push(2));
  EXPECT_EQ(pop(with.ring), 2U);
  EXPECT_FALSE(with.ring.take_waiting_producer());
}

/// Both sleep whenever they may; a wake-up that is lost would stop the test. ARM's order is not x86's: the model test
/// is what proves the order, this one that nothing else is wrong at full speed.
TEST_P(SpscRingOfCapacity, two_threads_that_sleep_lose_nothing) {
  Ring with(GetParam());
  constexpr std::uint32_t kElements = 20'000;
  std::atomic<std::uint32_t> consumer_wakes{0};
  std::atomic<std::uint32_t> producer_wakes{0};
  const auto sleep = [](std::atomic<std::uint32_t>& wakes) {
    wakes.wait(0);
    wakes.fetch_sub(1);
  };
  const auto wake = [](std::atomic<std::uint32_t>& wakes) {
    wakes.fetch_add(1);
    wakes.notify_one();
  };
  std::thread producer([&] {
    for (std::uint32_t i = 0; i < kElements;) {
      if (with.ring.push(i)) {
        ++i;
        if (with.ring.take_waiting_consumer()) {
          wake(consumer_wakes);
        }
      } else if (with.ring.await_room()) {
        sleep(producer_wakes);
      }
    }
  });
  std::uint32_t wrong = 0;
  for (std::uint32_t expected = 0; expected < kElements;) {
    if (const auto value = pop(with.ring)) {
      wrong += *value == expected++ ? 0 : 1;
      if (with.ring.take_waiting_producer()) {
        wake(producer_wakes);
      }
    } else if (with.ring.await_element()) {
      sleep(consumer_wakes);
    }
  }
  producer.join();
  EXPECT_EQ(wrong, 0U);
}

/// Each element goes to one of the two, in order.
TEST_P(SpscRingOfCapacity, what_is_dropped_and_what_is_received_is_what_was_sent) {
  Ring with(GetParam());
  constexpr std::uint32_t kElements = 20'000;
  std::vector<std::uint32_t> dropped;
  std::vector<std::uint32_t> received;
  std::atomic<bool> done{false};
  std::thread producer([&] {
    for (std::uint32_t i = 0; i < kElements; ++i) {
      if (const auto oldest = with.ring.push_over(i)) {
        dropped.push_back(*oldest);
      }
      if (i % 1024 == 0) {
        std::this_thread::yield();
      }
    }
    done = true;
  });
  for (bool last = false; !last;) {
    last = done;
    while (const auto value = pop_contended(with.ring)) {
      received.push_back(*value);
    }
  }
  producer.join();
  EXPECT_TRUE(std::is_sorted(received.begin(), received.end()));
  EXPECT_TRUE(std::is_sorted(dropped.begin(), dropped.end()));
  ASSERT_EQ(received.size() + dropped.size(), kElements);
  std::vector<std::uint32_t> all(kElements);
  std::merge(received.begin(), received.end(), dropped.begin(), dropped.end(), all.begin());
  std::vector<std::uint32_t> expected(kElements);
  std::iota(expected.begin(), expected.end(), 0U);
  EXPECT_EQ(all, expected);
}

}  // namespace
}  // namespace guest::graph
