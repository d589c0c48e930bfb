// How often a time was how long: counts in buckets, so that many samples take little memory and percentiles stay known.
//
//   0 1 2 ... 15 | 16-17 18-19 ... 30-31 | 32-35 36-39 ... 60-63 | 64-71 ...     up to 2^64 - 1
//     exact         eight steps of 2        eight steps of 4        eight steps of 8
//
// A bucket is at most an eighth as wide as its smallest value, so what is said of a sample is at most 12.5 % too large
// and never too small.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "guest/kernel/percentile.hpp"

namespace guest::kernel {

/// One writer, so that samples do not interleave: one CPU, with interrupts masked or in handlers, or one thread.
/// Readers anywhere, at any time. All zero bytes when empty.
class Histogram {
 public:
  /// Largest relative error of percentile(), in thousandths: that of a bucket's upper bound.
  static constexpr std::uint32_t kErrorPermille = 125;

  constexpr Histogram() = default;
  Histogram(const Histogram&) = delete;
  Histogram& operator=(const Histogram&) = delete;

  /// Adds a sample, in nanoseconds. No loop, no division.
  void record(std::uint64_t ns) {
    if (ns > max_.load(std::memory_order_relaxed)) {
      max_.store(ns, std::memory_order_relaxed);
    }
    if (~ns > not_min_.load(std::memory_order_relaxed)) {
      not_min_.store(~ns, std::memory_order_relaxed);
    }
    // No read-modify-write: nobody else writes.
    sum_.store(sum_.load(std::memory_order_relaxed) + ns, std::memory_order_relaxed);
    std::atomic<std::uint64_t>& bucket = buckets_[bucket_of(ns)];
    // Release pairs with the acquires of readers: who counts the sample knows it as largest or smallest too.
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// Forgets all samples. As record().
  void reset();

  /// Samples so far. Walks the buckets, as percentile() does.
  [[nodiscard]] std::uint64_t count() const;
  /// Smallest and largest sample, exact; 0 without samples.
  [[nodiscard]] std::uint64_t min() const { return max() == 0 ? 0 : ~not_min_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t max() const { return max_.load(std::memory_order_relaxed); }
  /// Of all samples, exact, modulo 2^64 (584 years).
  [[nodiscard]] std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  /// Nearest rank: an upper bound of the sample with that rank, at most kErrorPermille above it and never above max().
  /// Nothing: there are fewer samples than samples_needed() says. While samples are recorded it is of some moment
  /// during the call.
  [[nodiscard]] std::optional<std::uint64_t> percentile(Percentile percentile) const;

  /// Samples of one bucket, below kBuckets.
  [[nodiscard]] std::uint64_t bucket(std::uint32_t bucket) const {
    return buckets_[bucket].load(std::memory_order_acquire);
  }

  // Which bucket a sample falls into, and the bucket's largest value: for tests and exports.
  static constexpr unsigned kStepBits = 3;
  static constexpr std::uint32_t kSteps = 1U << kStepBits;
  static constexpr std::uint32_t kBuckets = (64 - kStepBits + 1) * kSteps;
  static constexpr std::uint32_t bucket_of(std::uint64_t ns) {
    // The shift that leaves the first one and kStepBits behind it; none for numbers that are no longer.
    const auto shift = static_cast<std::uint32_t>(63 - kStepBits - static_cast<unsigned>(__builtin_clzll(ns | kSteps)));
    return shift * kSteps + static_cast<std::uint32_t>(ns >> shift);
  }
  static constexpr std::uint64_t bucket_end(std::uint32_t bucket) {
    if (bucket < 2 * kSteps) {
      return bucket;
    }
    const std::uint32_t shift = bucket / kSteps - 1;
    // Wraps to 2^64 - 1 for the last bucket.
    return (std::uint64_t{bucket % kSteps + kSteps + 1} << shift) - 1;
  }

 private:
  // Before the buckets, where an address near that of the histogram takes one instruction less.
  std::atomic<std::uint64_t> max_{0};
  std::atomic<std::uint64_t> not_min_{0};  ///< ~min, so that an empty one is zero and lies in .bss
  std::atomic<std::uint64_t> sum_{0};
  std::atomic<std::uint64_t> buckets_[kBuckets] = {};
};
static_assert(Histogram::bucket_of(0) == 0 && Histogram::bucket_of(15) == 15 && Histogram::bucket_of(16) == 16);
static_assert(Histogram::bucket_of(~std::uint64_t{0}) == Histogram::kBuckets - 1);
static_assert(Histogram::bucket_end(Histogram::kBuckets - 1) == ~std::uint64_t{0});
static_assert(sizeof(Histogram) <= 4096);

}  // namespace guest::kernel
