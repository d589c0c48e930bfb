#include "guest/kernel/histogram.hpp"

#include <algorithm>

namespace guest::kernel {

void Histogram::reset() {
  for (std::atomic<std::uint64_t>& bucket : buckets_) {
    bucket.store(0, std::memory_order_relaxed);
  }
  sum_.store(0, std::memory_order_relaxed);
  max_.store(0, std::memory_order_relaxed);
  not_min_.store(0, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t count = 0;
  for (const std::atomic<std::uint64_t>& bucket : buckets_) {
    count += bucket.load(std::memory_order_acquire);
  }
  return count;
}

std::optional<std::uint64_t> Histogram::percentile(Percentile percentile) const {
  const std::uint64_t total = count();
  if (total < samples_needed(percentile)) {
    return std::nullopt;
  }
  // Buckets only grow, unless somebody resets them, so the second walk finds at least what the first one counted.
  std::uint64_t left = nearest_rank(total, percentile);
  std::uint32_t bucket = 0;
  for (; bucket < kBuckets - 1; ++bucket) {
    const std::uint64_t here = buckets_[bucket].load(std::memory_order_acquire);
    if (here >= left) {
      break;
    }
    left -= here;
  }
  return std::min(bucket_end(bucket), max());
}

}  // namespace guest::kernel
