#include "vmm/observe/clock_map.hpp"

#include <gtest/gtest.h>

namespace vmm::observe {
namespace {

TEST(ClockMapTest, time_between_samples_is_in_proportion_and_beside_them_goes_on) {
  ClockMap map;
  EXPECT_EQ(map.guest_time(5), std::nullopt);
  map.add({.host_before_ns = 900, .host_after_ns = 1100, .guest_ns = 500});
  map.add({.host_before_ns = 1990, .host_after_ns = 2010, .guest_ns = 2500});
  EXPECT_EQ(map.guest_time(1000), 500);
  EXPECT_EQ(map.guest_time(1500), 1500);
  EXPECT_EQ(map.guest_time(100), -400);
  EXPECT_EQ(map.guest_time(2100), 2600);
  EXPECT_EQ(map.uncertainty_ns(), 100U);
}

TEST(ClockMapTest, samples_that_cannot_be_are_passed_over) {
  ClockMap map;
  map.add({.host_before_ns = 10, .host_after_ns = 5, .guest_ns = 1});
  map.add({.host_before_ns = 1, .host_after_ns = 2, .guest_ns = UINT64_MAX});
  EXPECT_EQ(map.guest_time(5), std::nullopt);
  map.add({.host_before_ns = 10, .host_after_ns = 20, .guest_ns = 100});
  map.add({.host_before_ns = 30, .host_after_ns = 40, .guest_ns = 90});
  EXPECT_EQ(map.to_json()["samples"].size(), 1U);
}

TEST(ClockMapTest, number_of_samples_is_bounded) {
  ClockMap map;
  for (std::uint64_t i = 1; i <= 3 * ClockMap::kMaxSamples; ++i) map.add({i * 10, i * 10, i * 20});
  EXPECT_LE(map.to_json()["samples"].size(), ClockMap::kMaxSamples);
  EXPECT_EQ(map.guest_time(30'000), 60'000);
}

}  // namespace
}  // namespace vmm::observe
