#include "../worker_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace vmm::npu {
namespace {

/// What was run, in no order.
std::mutex shares_mutex;
std::vector<::npu::Units> shares;

std::optional<abi::npu::Reason> note_share(const ::npu::Checked&, ::npu::Units units) {
  const std::lock_guard lock(shares_mutex);
  shares.push_back(units);
  return std::nullopt;
}

/// In the order of their units.
std::vector<std::uint64_t> shares_of(WorkerPool& pool, ::npu::Units units, std::uint64_t least) {
  shares.clear();
  EXPECT_EQ(pool.run(note_share, {}, units, least), std::nullopt);
  std::ranges::sort(shares, {}, &::npu::Units::first);
  std::vector<std::uint64_t> counts;
  std::uint64_t next = units.first;
  for (const ::npu::Units& share : shares) {
    EXPECT_EQ(share.first, next) << "none twice, none left out";
    next += share.count;
    counts.push_back(share.count);
  }
  EXPECT_EQ(next, units.first + units.count);
  return counts;
}

TEST(WorkerPool, shares_are_parts_of_what_is_left_until_the_least) {
  WorkerPool pool(1, {});
  EXPECT_EQ(shares_of(pool, {7, 64}, 8), (std::vector<std::uint64_t>{32, 16, 8, 8}));
  EXPECT_EQ(shares_of(pool, {7, 21}, 8), (std::vector<std::uint64_t>{10, 8, 3}));
  EXPECT_EQ(shares_of(pool, {7, 5}, 8), (std::vector<std::uint64_t>{5}));
  WorkerPool none(0, {});
  EXPECT_EQ(shares_of(none, {7, 64}, 8), (std::vector<std::uint64_t>{64}));
}

/// Helpers that still look for work, those that sleep, and some that have not begun yet.
TEST(WorkerPool, tasks_may_follow_each_other_at_any_distance) {
  WorkerPool pool(3, {});
  for (int i = 0; i < 3000; ++i) {
    shares_of(pool, {0, 40}, 2);
    if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i / 10));
  }
}

}  // namespace
}  // namespace vmm::npu
