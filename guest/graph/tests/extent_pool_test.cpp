#include "guest/graph/extent_pool.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace guest::graph {
namespace {

struct Pool {
  Pool(std::uint64_t units, std::uint64_t extents) : records(ExtentPool::records_for(extents)) {
    pool.start(units, records);
  }
  std::vector<ExtentPool::Record> records;
  ExtentPool pool;
};

TEST(ExtentPool, all_of_it_can_be_one_piece) {
  // 1000 is not the smallest size of its class: a search that only rounds up would not find it.
  for (const std::uint64_t units : {1U, 7U, 8U, 9U, 1000U, 1023U, 1024U}) {
    Pool with(units, 1);
    const auto extent = with.pool.allocate(units);
    ASSERT_TRUE(extent) << units;
    EXPECT_EQ(extent->first_unit, 0U);
    EXPECT_EQ(with.pool.free_units(), 0U);
    EXPECT_FALSE(with.pool.allocate(1));
    with.pool.release(extent->record);
    EXPECT_EQ(with.pool.free_units(), units);
  }
}

TEST(ExtentPool, more_than_there_is_is_refused_and_changes_nothing) {
  Pool with(100, 4);
  for (const std::uint64_t units : {std::uint64_t{101}, ExtentPool::kMaxUnits, ExtentPool::kMaxUnits + 1,
                                    std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    EXPECT_FALSE(with.pool.allocate(units)) << units;
  }
  EXPECT_EQ(with.pool.free_units(), 100U);
  EXPECT_EQ(with.pool.free_pieces(), 1U);
}

TEST(ExtentPool, the_largest_pool_is_managed) {
  Pool with(ExtentPool::kMaxUnits, 2);
  const auto half = with.pool.allocate(ExtentPool::kMaxUnits / 2);
  ASSERT_TRUE(half);
  const auto rest = with.pool.allocate(ExtentPool::kMaxUnits - ExtentPool::kMaxUnits / 2);
  ASSERT_TRUE(rest);
  EXPECT_EQ(with.pool.free_units(), 0U);
}

TEST(ExtentPool, neighbours_join_in_whatever_order_they_are_released) {
  const std::size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : orders) {
    Pool with(30, 3);
    std::uint32_t records[3];
    for (std::uint32_t& record : records) {
      record = with.pool.allocate(10)->record;
    }
    for (const std::size_t index : order) {
      with.pool.release(records[index]);
    }
    EXPECT_EQ(with.pool.free_pieces(), 1U);
    EXPECT_TRUE(with.pool.allocate(30));
  }
}

TEST(ExtentPool, more_pieces_than_it_has_records_for_are_refused) {
  Pool with(100, 1);  // three records: one in use, free ones on both sides
  const auto first = with.pool.allocate(10);
  const auto second = with.pool.allocate(10);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(with.pool.allocate(10));
  with.pool.release(first->record);
  with.pool.release(second->record);
  EXPECT_EQ(with.pool.free_pieces(), 1U);
}

TEST(ExtentPool, a_release_of_what_is_not_in_use_panics) {
  Pool with(100, 2);
  const auto extent = with.pool.allocate(10);
  with.pool.release(extent->record);
  EXPECT_DEATH(with.pool.release(extent->record), "not in use");
  EXPECT_DEATH(with.pool.release(77), "not in use");
}

/// Sizes from one unit to a quarter of the pool; each unit has at most one owner, and all comes back as one piece.
TEST(ExtentPool, random_pieces_never_overlap_and_come_back_as_one) {
  constexpr std::uint64_t kUnits = 5000;
  constexpr std::size_t kExtents = 60;
  Pool with(kUnits, kExtents);
  std::mt19937 random(7);
  std::vector<int> owner(kUnits, -1);
  struct Piece {
    ExtentPool::Extent extent;
    std::uint64_t units;
  };
  std::vector<Piece> pieces;
  for (int step = 0; step < 8'000; ++step) {
    if (pieces.size() < kExtents && random() % 2 == 0) {
      const std::uint64_t units = (std::uint64_t{1} << random() % 11) + random() % 200;
      const auto extent = with.pool.allocate(units);
      if (!extent) {
        continue;
      }
      for (std::uint64_t i = 0; i < units; ++i) {
        ASSERT_EQ(owner.at(extent->first_unit + i), -1);
        owner[extent->first_unit + i] = step;
      }
      pieces.push_back({*extent, units});
    } else if (!pieces.empty()) {
      std::swap(pieces[random() % pieces.size()], pieces.back());
      std::fill_n(owner.begin() + static_cast<std::ptrdiff_t>(pieces.back().extent.first_unit), pieces.back().units,
                  -1);
      with.pool.release(pieces.back().extent.record);
      pieces.pop_back();
    }
    std::uint64_t used = 0;
    for (const Piece& piece : pieces) {
      used += piece.units;
    }
    ASSERT_EQ(with.pool.free_units(), kUnits - used);
    ASSERT_LE(with.pool.free_pieces(), pieces.size() + 1);
  }
  for (const Piece& piece : pieces) {
    with.pool.release(piece.extent.record);
  }
  EXPECT_EQ(with.pool.free_pieces(), 1U);
  EXPECT_EQ(with.pool.free_units(), kUnits);
}

}  // namespace
}  // namespace guest::graph
