#include "guest/kernel/counters.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using guest::kernel::Counter;
using guest::kernel::CounterRegistry;

TEST(Counters, registry_lists_in_order_of_registration_with_values) {
  Counter first{"rx"};
  Counter second{"tx"};
  CounterRegistry registry;
  ASSERT_TRUE(registry.add(first));
  ASSERT_TRUE(registry.add(second));
  second.add(5);
  second.add();
  second.subtract(2);
  std::vector<std::pair<std::string, std::uint64_t>> seen;
  registry.for_each([&](const Counter& counter) { seen.emplace_back(counter.name(), counter.value()); });
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, std::uint64_t>>{{"rx", 0}, {"tx", 4}}));
  EXPECT_EQ(registry.size(), 2U);
}

TEST(Counters, find_returns_the_counter_or_null) {
  Counter counter{"rx"};
  CounterRegistry registry;
  ASSERT_TRUE(registry.add(counter));
  EXPECT_EQ(registry.find("rx"), &counter);
  EXPECT_EQ(registry.find("r"), nullptr);
}

TEST(Counters, taken_name_and_second_registration_are_refused) {
  Counter counter{"rx"};
  Counter twin{"rx"};
  CounterRegistry registry;
  CounterRegistry other;
  ASSERT_TRUE(registry.add(counter));
  EXPECT_FALSE(registry.add(twin));
  EXPECT_FALSE(registry.add(counter));
  EXPECT_FALSE(other.add(counter)) << "a counter is linked into one list";
  EXPECT_EQ(registry.size(), 1U);
  EXPECT_EQ(other.size(), 0U);
}

}  // namespace
