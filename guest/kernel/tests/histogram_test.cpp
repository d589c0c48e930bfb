#include "guest/kernel/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace guest::kernel {
namespace {

constexpr std::uint64_t kLargest = ~std::uint64_t{0};
constexpr Percentile kAll[] = {Percentile::P50, Percentile::P90,   Percentile::P95,
                               Percentile::P99, Percentile::P99_9, Percentile::P99_99};

/// The sample itself, from sorted samples.
std::uint64_t exact(const std::vector<std::uint64_t>& sorted, Percentile percentile) {
  return sorted[nearest_rank(sorted.size(), percentile) - 1];
}

TEST(Percentile, nearest_rank_is_the_textbooks_also_for_counts_that_would_overflow) {
  EXPECT_EQ(nearest_rank(5, Percentile::P50), 3U);
  EXPECT_EQ(nearest_rank(20, Percentile::P95), 19U);
  EXPECT_EQ(nearest_rank(1'000, Percentile::P99_9), 999U);
  EXPECT_EQ(nearest_rank(1'001, Percentile::P99_9), 1'000U);
  EXPECT_EQ(nearest_rank(kLargest, Percentile::P50), kLargest / 2 + 1);
}

TEST(Histogram, buckets_follow_each_other_without_gap_and_are_an_eighth_wide_at_most) {
  std::uint64_t begin = 0;
  for (std::uint32_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    const std::uint64_t end = Histogram::bucket_end(bucket);
    ASSERT_EQ(Histogram::bucket_of(begin), bucket);
    ASSERT_EQ(Histogram::bucket_of(end), bucket);
    ASSERT_LE(end - begin, begin / 8);
    begin = end + 1;
  }
  EXPECT_EQ(begin, 0U) << "the last bucket ends at 2^64 - 1";
}

TEST(Histogram, an_empty_one_supports_no_percentile) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.percentile(Percentile::P50), std::nullopt);
}

TEST(Histogram, count_sum_smallest_and_largest_are_exact) {
  Histogram histogram;
  for (const std::uint64_t ns : {1'000'003U, 17U, 900U}) {
    histogram.record(ns);
  }
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.sum(), 1'000'920U);
  EXPECT_EQ(histogram.min(), 17U);
  EXPECT_EQ(histogram.max(), 1'000'003U);
}

TEST(Histogram, the_ends_of_the_range_are_samples_as_others) {
  Histogram histogram;
  histogram.record(0);
  EXPECT_EQ(histogram.min(), 0U);
  histogram.record(kLargest);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), kLargest);
  EXPECT_EQ(histogram.percentile(Percentile::P50), 0U);
}

TEST(Histogram, a_percentile_needs_as_many_samples_as_one_above_it_takes) {
  struct {
    Percentile percentile;
    std::uint64_t needed;
  } constexpr kNeeds[] = {{Percentile::P50, 2},   {Percentile::P90, 10},      {Percentile::P95, 20},
                          {Percentile::P99, 100}, {Percentile::P99_9, 1'000}, {Percentile::P99_99, 10'000}};
  for (const auto& [percentile, needed] : kNeeds) {
    Histogram histogram;
    for (std::uint64_t i = 1; i < needed; ++i) {
      histogram.record(7);
    }
    EXPECT_EQ(histogram.percentile(percentile), std::nullopt) << needed;
    histogram.record(7);
    EXPECT_EQ(histogram.percentile(percentile), 7U) << needed;
  }
}

TEST(Histogram, percentiles_of_random_samples_are_at_most_an_eighth_above_those_of_a_sort) {
  std::mt19937_64 random(20'260'801);
  for (unsigned round = 0; round < 50; ++round) {
    Histogram histogram;
    std::vector<std::uint64_t> samples(std::uniform_int_distribution<std::size_t>(10'000, 20'000)(random));
    for (std::uint64_t& sample : samples) {
      // Any magnitude is as likely as any other.
      sample = random() >> (random() % 64);
      histogram.record(sample);
    }
    std::sort(samples.begin(), samples.end());
    ASSERT_EQ(histogram.count(), samples.size());
    ASSERT_EQ(histogram.min(), samples.front());
    ASSERT_EQ(histogram.max(), samples.back());
    for (const Percentile percentile : kAll) {
      const std::uint64_t truth = exact(samples, percentile);
      const auto told = histogram.percentile(percentile);
      ASSERT_TRUE(told.has_value());
      ASSERT_GE(*told, truth);
      // As integers: told - truth <= truth * kErrorPermille / 1000, rounded up.
      ASSERT_LE(*told - truth, truth / (1000 / Histogram::kErrorPermille) + 1) << "round " << round;
    }
  }
}

TEST(Histogram, a_percentile_is_never_above_the_largest_sample) {
  Histogram histogram;
  histogram.record(1'000);
  histogram.record(1'025);  // its bucket ends at 1151
  EXPECT_EQ(histogram.percentile(Percentile::P90), std::nullopt);
  for (unsigned i = 0; i < 8; ++i) {
    histogram.record(1'025);
  }
  EXPECT_EQ(histogram.percentile(Percentile::P90), 1'025U);
}

TEST(Histogram, a_reader_beside_the_writer_sees_no_impossible_state) {
  const auto histogram = std::make_unique<Histogram>();
  constexpr std::uint64_t kSamples = 200'000;
  std::thread writer([&] {
    for (std::uint64_t i = 0; i < kSamples; ++i) {
      histogram->record(1'000 + i);
    }
  });
  std::uint64_t before = 0;
  while (before < kSamples) {
    const std::uint64_t count = histogram->count();
    ASSERT_GE(count, before);
    // Every sample that is counted is known as the largest one, too.
    ASSERT_TRUE(count == 0 || histogram->max() >= 1'000 + count - 1);
    const auto median = histogram->percentile(Percentile::P50);
    ASSERT_TRUE(!median || (*median >= 1'000 && *median <= histogram->max()));
    before = count;
  }
  writer.join();
  EXPECT_EQ(histogram->min(), 1'000U);
  EXPECT_EQ(histogram->sum(), kSamples * 1'000 + kSamples * (kSamples - 1) / 2);
}

TEST(HistogramTest, forgets_what_it_is_told_to) {
  Histogram histogram;
  histogram.record(5);
  histogram.reset();
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.sum(), 0U);
  histogram.record(7);
  EXPECT_EQ(histogram.min(), 7U);
}

}  // namespace
}  // namespace guest::kernel
