#include "guest/kernel/page_allocator.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "guest/kernel/testing/arena.hpp"

namespace guest::kernel {
namespace {

using testing::Arena;

constexpr std::uint64_t kBase = 0x4000'0000;
constexpr std::uint64_t kMiB = 1024 * 1024;

constexpr PhysRange range(std::uint64_t base, std::uint64_t size) { return {PhysAddr{base}, size}; }

class PageAllocatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const PhysRange memory[] = {arena.range()};
    ASSERT_EQ(pages.add_memory(memory, {}), Status::Ok);
  }
  PhysAddr must_allocate(unsigned order) {
    const auto address = pages.allocate(order);
    EXPECT_TRUE(address.has_value());
    return address.value_or(PhysAddr{0});
  }
  Arena arena{kBase, 64 * kMiB};
  PageAllocator pages{arena.map()};
};

TEST_F(PageAllocatorTest, total_is_memory_without_metadata) {
  const PageStatistics statistics = pages.statistics();
  EXPECT_EQ(statistics.metadata_pages, 4U);
  EXPECT_EQ(statistics.total_pages, 64 * kMiB / kPageBytes - 4);
  EXPECT_EQ(statistics.free_pages, statistics.total_pages);
  EXPECT_EQ(statistics.used_pages, 0U);
}

TEST_F(PageAllocatorTest, blocks_are_aligned_to_their_size) {
  for (unsigned order = 0; order <= 12; ++order) {
    EXPECT_EQ(raw(must_allocate(order)) % (kPageBytes << order), 0U) << order;
  }
}

TEST_F(PageAllocatorTest, freed_memory_merges_to_what_it_was) {
  const PageStatistics before = pages.statistics();
  std::vector<PhysAddr> blocks;
  while (const auto block = pages.allocate(0)) {
    blocks.push_back(*block);
  }
  EXPECT_EQ(blocks.size(), before.total_pages);
  EXPECT_EQ(pages.statistics().free_pages, 0U);
  EXPECT_EQ(pages.statistics().largest_free_pages, 0U);
  for (const PhysAddr block : blocks) {
    EXPECT_EQ(pages.free(block), 1U);
  }
  const PageStatistics after = pages.statistics();
  EXPECT_EQ(after.free_pages, before.total_pages);
  EXPECT_EQ(after.largest_free_pages, before.largest_free_pages);
  EXPECT_EQ(after.peak_used_pages, before.total_pages);
  EXPECT_EQ(after.failures, 1U);
  EXPECT_EQ(after.allocations, after.frees);
}

TEST_F(PageAllocatorTest, uneven_allocation_takes_only_what_was_asked_for) {
  const auto block = pages.allocate_pages(5);
  ASSERT_TRUE(block);
  EXPECT_EQ(raw(*block) % (8 * kPageBytes), 0U);
  EXPECT_EQ(pages.statistics().used_pages, 5U);
  EXPECT_EQ(pages.allocated_pages(*block), 5U);
  // The three pages behind it are free again.
  const auto next = pages.allocate(0);
  ASSERT_TRUE(next);
  EXPECT_EQ(raw(*next), raw(*block) + 5 * kPageBytes);
  EXPECT_EQ(pages.free(*block), 5U);
  EXPECT_EQ(pages.statistics().used_pages, 1U);
}

TEST_F(PageAllocatorTest, neighbouring_allocations_do_not_run_into_each_other) {
  const auto first = pages.allocate_pages(3);
  const auto second = pages.allocate(0);
  ASSERT_TRUE(first && second);
  ASSERT_EQ(raw(*second), raw(*first) + 3 * kPageBytes);
  EXPECT_EQ(pages.allocated_pages(*first), 3U);
  EXPECT_EQ(pages.free(*first), 3U);
  EXPECT_EQ(pages.allocated_pages(*second), 1U);
}

TEST_F(PageAllocatorTest, request_that_can_never_fit_is_refused_and_counted) {
  EXPECT_EQ(pages.allocate(PageAllocator::kMaxOrder).error(), Status::NoMemory);
  EXPECT_EQ(pages.allocate(PageAllocator::kMaxOrder + 1).error(), Status::NoMemory);
  EXPECT_EQ(pages.allocate_pages(~std::uint64_t{0}).error(), Status::NoMemory);
  EXPECT_EQ(pages.statistics().failures, 3U);
}

TEST_F(PageAllocatorTest, largest_free_block_can_be_allocated) {
  const auto block = pages.allocate_pages(pages.statistics().largest_free_pages);
  EXPECT_TRUE(block);
}

TEST_F(PageAllocatorTest, ownership_ends_at_the_edges) {
  EXPECT_FALSE(pages.owns(PhysAddr{kBase - 1}));
  EXPECT_FALSE(pages.owns(PhysAddr{kBase}));  // metadata
  EXPECT_TRUE(pages.owns(PhysAddr{kBase + 64 * kMiB - 1}));
  EXPECT_FALSE(pages.owns(PhysAddr{kBase + 64 * kMiB}));
}

using PageAllocatorDeath = PageAllocatorTest;

TEST_F(PageAllocatorDeath, double_free) {
  const PhysAddr kept = must_allocate(0);
  const PhysAddr block = must_allocate(0);
  pages.free(block);
  EXPECT_DEATH(pages.free(block), "which are free already");
  pages.free(kept);
  EXPECT_DEATH(pages.free(block), "free of the pages at 0x");  // merged: now inside of a larger block
}

TEST_F(PageAllocatorDeath, free_inside_of_a_block) {
  const PhysAddr block = must_allocate(3);
  EXPECT_DEATH(pages.free(block + kPageBytes), "which are inside of another block");
  EXPECT_DEATH(pages.free(block + 1), "was never allocated");
}

TEST_F(PageAllocatorDeath, free_of_foreign_and_of_untouched_memory) {
  EXPECT_DEATH(pages.free(PhysAddr{0x1000}), "free of 0x1000, which was never allocated");
  EXPECT_DEATH(pages.free(PhysAddr{kBase + 60 * kMiB}), "was never allocated");
}

TEST_F(PageAllocatorDeath, write_after_free_is_found_when_the_block_is_used) {
  const PhysAddr block = must_allocate(0);
  pages.free(block);
  EXPECT_DEATH(
      {
        std::memset(arena.map().pointer(PhysAddr{raw(block) & ~(4 * kMiB - 1)} + 4 * kPageBytes), 0x41, 4096);
        static_cast<void>(pages.allocate(0));
      },
      "written to after they were freed");
}

TEST(PageAllocatorSetUp, reserved_ranges_are_never_handed_out) {
  Arena arena(kBase, 16 * kMiB);
  PageAllocator pages(arena.map());
  const PhysRange memory[] = {arena.range()};
  const PhysRange reserved[] = {range(kBase, 0x8'0800), range(kBase + 0x8'0000, 0x10'0000),
                                range(kBase + 8 * kMiB - 1, 2), range(0x1000, 0x1000), range(kBase + kMiB * 12, 0)};
  ASSERT_EQ(pages.add_memory(memory, reserved), Status::Ok);
  std::uint64_t count = 0;
  while (const auto page = pages.allocate(0)) {
    ++count;
    const PhysRange got = range(raw(*page), kPageBytes);
    for (const PhysRange& hole : reserved) {
      EXPECT_FALSE(got.overlaps(hole)) << std::hex << got.begin();
    }
  }
  // 0x180 pages at the start and the two that a range of two bytes lies in.
  const std::uint64_t metadata = pages.statistics().metadata_pages;
  EXPECT_EQ(count, 16 * kMiB / kPageBytes - 0x180 - 2 - metadata);
}

TEST(PageAllocatorSetUp, memory_that_is_all_reserved_is_no_memory) {
  Arena arena(kBase, kMiB);
  PageAllocator pages(arena.map());
  const PhysRange memory[] = {arena.range()};
  EXPECT_EQ(pages.add_memory(memory, memory), Status::NoMemory);
}

TEST(PageAllocatorSetUp, several_ranges_are_used_one_after_the_other) {
  Arena arena(kBase, 64 * kMiB);
  PageAllocator pages(arena.map());
  const PhysRange memory[] = {range(kBase, kMiB), range(kBase + 32 * kMiB, kMiB)};
  ASSERT_EQ(pages.add_memory(memory, {}), Status::Ok);
  bool low = false;
  bool high = false;
  while (const auto page = pages.allocate(0)) {
    const PhysRange got = range(raw(*page), kPageBytes);
    ASSERT_TRUE(memory[0].contains(got) || memory[1].contains(got));
    low = low || memory[0].contains(got);
    high = high || memory[1].contains(got);
  }
  EXPECT_TRUE(low && high);
}

// Set-up and the first allocation must not write to memory in proportion to its size.
TEST(PageAllocatorSetUp, first_allocation_touches_little_of_4_gib) {
  Arena arena(kBase, 4096 * kMiB);
  PageAllocator pages(arena.map());
  const PhysRange memory[] = {arena.range()};
  ASSERT_EQ(pages.add_memory(memory, {}), Status::Ok);
  ASSERT_TRUE(pages.allocate(2));
  std::vector<unsigned char> resident(4096 * kMiB / kPageBytes);
  ASSERT_EQ(mincore(arena.map().pointer(PhysAddr{kBase}), 4096 * kMiB, resident.data()), 0);
  std::uint64_t touched = 0;
  for (const unsigned char page : resident) {
    touched += page & 1U;
  }
  EXPECT_LT(touched, 32U);
}

// RAM is not zero after a restart: what lies where the metadata will be must not be believed. 0x2A is what a free block
// of 4 MiB looks like.
TEST(PageAllocatorSetUp, old_contents_of_memory_do_not_matter) {
  Arena arena(kBase, 64 * kMiB);
  std::memset(arena.map().pointer(PhysAddr{kBase}), 0x2A, 64 * kMiB);
  PageAllocator pages(arena.map());
  const PhysRange memory[] = {arena.range()};
  ASSERT_EQ(pages.add_memory(memory, {}), Status::Ok);
  const PageStatistics before = pages.statistics();
  std::vector<PhysAddr> blocks;
  while (const auto block = pages.allocate(8)) {
    blocks.push_back(*block);
  }
  EXPECT_EQ(blocks.size(), before.total_pages >> 8);
  for (const PhysAddr block : blocks) {
    pages.free(block);
  }
  EXPECT_EQ(pages.statistics().largest_free_pages, before.largest_free_pages);
}

TEST(PageAllocatorSetUp, gibibyte_block_is_assembled) {
  Arena arena(kBase, 3072 * kMiB);
  PageAllocator pages(arena.map());
  const PhysRange memory[] = {arena.range()};
  ASSERT_EQ(pages.add_memory(memory, {}), Status::Ok);
  const auto block = pages.allocate(PageAllocator::kMaxOrder);
  ASSERT_TRUE(block);
  EXPECT_EQ(raw(*block) % (1024 * kMiB), 0U);
}

// Random allocations against a model: no two overlap, all lie in memory, statistics agree, everything comes back.
TEST(PageAllocatorModel, random_allocations_agree_with_the_model) {
  constexpr unsigned kSeed = 20240607;  // fixed, so that a failure can be repeated
  std::mt19937 random(kSeed);
  Arena arena(kBase, 32 * kMiB);
  PageAllocator pages(arena.map());
  const PhysRange memory[] = {range(kBase + 0x3000, 19 * kMiB), range(kBase + 24 * kMiB, 8 * kMiB)};
  ASSERT_EQ(pages.add_memory(memory, {}), Status::Ok);
  const PageStatistics before = pages.statistics();
  std::map<std::uint64_t, std::uint64_t> model;  // address -> pages
  std::uint64_t used = 0;
  for (int step = 0; step < 60'000; ++step) {
    if (random() % 100 < 52) {
      const bool power = random() % 2 == 0;
      const unsigned order = random() % 8;
      const std::uint64_t count = power ? std::uint64_t{1} << order : 1 + random() % 200;
      const auto got = power ? pages.allocate(order) : pages.allocate_pages(count);
      if (!got) {
        continue;
      }
      const PhysRange block = range(raw(*got), count * kPageBytes);
      ASSERT_TRUE(memory[0].contains(block) || memory[1].contains(block));
      const auto next = model.lower_bound(block.begin());
      ASSERT_TRUE(next == model.end() || next->first >= block.end());
      ASSERT_TRUE(next == model.begin() ||
                  std::prev(next)->first + std::prev(next)->second * kPageBytes <= block.begin());
      model.emplace(block.begin(), count);
      used += count;
    } else if (!model.empty()) {
      auto victim = model.lower_bound(kBase + random() % (32 * kMiB));
      victim = victim == model.end() ? model.begin() : victim;
      ASSERT_EQ(pages.free(PhysAddr{victim->first}), victim->second);
      used -= victim->second;
      model.erase(victim);
    }
    ASSERT_EQ(pages.statistics().used_pages, used);
  }
  EXPECT_GT(pages.statistics().failures, 0U);  // the model ran into the limit too
  for (const auto& [address, count] : model) {
    EXPECT_EQ(pages.free(PhysAddr{address}), count);
  }
  EXPECT_EQ(pages.statistics().free_pages, before.free_pages);
  EXPECT_EQ(pages.statistics().largest_free_pages, before.largest_free_pages);
}

}  // namespace
}  // namespace guest::kernel
