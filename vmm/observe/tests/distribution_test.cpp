#include "vmm/observe/distribution.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace vmm::observe {
namespace {

/// 1, 2 ... count: the value at rank r is r.
std::vector<std::int64_t> ranks(std::size_t count) {
  std::vector<std::int64_t> samples(count);
  std::iota(samples.begin(), samples.end(), 1);
  return samples;
}

TEST(Percentile, is_the_nearest_rank) {
  EXPECT_EQ(percentile(ranks(20), 95), 19);
  EXPECT_EQ(percentile(ranks(21), 95), 20);  // 19.95 rounds up
  EXPECT_EQ(percentile(ranks(100), 99), 99);
  EXPECT_EQ(percentile(ranks(10000), 99), 9900);
}

TEST(Percentile, of_too_few_samples_is_not_given) {
  EXPECT_EQ(percentile(ranks(19), 95), std::nullopt);
  EXPECT_EQ(percentile(ranks(99), 99), std::nullopt);
  EXPECT_EQ(percentile({}, 95), std::nullopt);
}

TEST(Distribution, unsorted_samples_are_sorted) {
  const Distribution figures = distribution_of({30, 10, 20});
  EXPECT_EQ(figures.min, 10);
  EXPECT_EQ(figures.median, 20);
  EXPECT_EQ(figures.max, 30);
  EXPECT_EQ(figures.p95, std::nullopt);
}

TEST(Distribution, one_sample_is_all_there_is) {
  const Distribution figures = distribution_of({7});
  EXPECT_EQ(figures.min, 7);
  EXPECT_EQ(figures.median, 7);
  EXPECT_EQ(figures.max, 7);
}

TEST(Distribution, median_of_an_even_count_is_the_lower_one_that_was_measured) {
  EXPECT_EQ(distribution_of({1, 2, 3, 4}).median, 2);
}

}  // namespace
}  // namespace vmm::observe
