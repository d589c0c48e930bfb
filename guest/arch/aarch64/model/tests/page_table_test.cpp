#include "guest/arch/model/page_table.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

namespace guest::arch {
namespace {

/// Host memory in the role of physical memory: table addresses are offsets into it, from kBase.
class PageTableTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBase = 0x4000'0000;
  static constexpr std::uint64_t kTables = 32;

  PageTableTest()
      : memory_(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kTables * kPageBytes)), &std::free),
        space_{.next_pa = kBase,
               .end_pa = kBase + kTables * kPageBytes,
               .offset = reinterpret_cast<std::uint64_t>(memory_.get()) - kBase},
        root_(space_.allocate()) {}

  [[nodiscard]] std::uint64_t tables_used() const { return (space_.next_pa - kBase) / kPageBytes; }
  [[nodiscard]] Translation at(std::uint64_t va) const { return translate(root_, space_, va); }
  MapStatus map(std::uint64_t va, std::uint64_t pa, std::uint64_t size, Attributes attributes = kReadWrite) {
    return map_range(root_, space_, va, pa, size, attributes);
  }

  std::unique_ptr<std::byte, decltype(&std::free)> memory_;
  TableSpace space_;
  std::uint64_t root_;
};

constexpr std::uint64_t kVa = 0xffff'0000'0000'0000;
constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kGiB = 1024 * kMiB;

TEST_F(PageTableTest, one_page_translates_to_its_bytes_and_neighbours_do_not) {
  ASSERT_EQ(map(kVa + 0x5000, 0x8'0000, kPageBytes), MapStatus::Ok);
  EXPECT_EQ(at(kVa + 0x5123).pa, 0x8'0123U);
  EXPECT_FALSE(at(kVa + 0x4fff).valid);
  EXPECT_FALSE(at(kVa + 0x6000).valid);
}

TEST_F(PageTableTest, unmapped_pages_translate_no_more_and_can_be_mapped_anew) {
  ASSERT_EQ(map(kVa, 0x8'0000, 4 * kPageBytes), MapStatus::Ok);
  EXPECT_TRUE(unmap_pages(root_, space_, kVa + kPageBytes, 2 * kPageBytes));
  EXPECT_TRUE(at(kVa).valid);
  EXPECT_FALSE(at(kVa + kPageBytes).valid);
  EXPECT_FALSE(at(kVa + 2 * kPageBytes).valid);
  EXPECT_TRUE(at(kVa + 3 * kPageBytes).valid);
  const std::uint64_t tables = tables_used();
  EXPECT_EQ(map(kVa + kPageBytes, 0x9'0000, 2 * kPageBytes), MapStatus::Ok);
  EXPECT_EQ(tables_used(), tables);
  EXPECT_EQ(at(kVa + kPageBytes).pa, 0x9'0000U);
}

TEST_F(PageTableTest, what_is_not_mapped_in_pages_is_not_unmapped) {
  EXPECT_FALSE(unmap_pages(root_, space_, kVa, kPageBytes));
  ASSERT_EQ(map(kVa, 0x20'0000, 2 * kMiB), MapStatus::Ok);
  EXPECT_FALSE(unmap_pages(root_, space_, kVa, kPageBytes));
  EXPECT_TRUE(at(kVa).valid);
}

TEST_F(PageTableTest, attributes_are_those_asked_for) {
  ASSERT_EQ(map(kVa, 0x8'0000, kPageBytes, kText), MapStatus::Ok);
  ASSERT_EQ(map(kVa + kPageBytes, 0x8'1000, kPageBytes, kReadOnly), MapStatus::Ok);
  ASSERT_EQ(map(kVa + 2 * kPageBytes, 0x900'0000, kPageBytes, kDevice), MapStatus::Ok);
  EXPECT_EQ(at(kVa).attributes, kText);
  EXPECT_EQ(at(kVa + kPageBytes).attributes, kReadOnly);
  EXPECT_EQ(at(kVa + 2 * kPageBytes).attributes, kDevice);
}

TEST_F(PageTableTest, aligned_gibibytes_take_no_more_tables_than_one) {
  ASSERT_EQ(map(kVa + kGiB, kGiB, 4 * kGiB), MapStatus::Ok);
  EXPECT_EQ(tables_used(), 2U);  // root and one level 1 table
  EXPECT_EQ(at(kVa + 3 * kGiB + 12345).pa, 3 * kGiB + 12345);
}

TEST_F(PageTableTest, range_with_odd_ends_uses_pages_then_blocks_then_pages) {
  const std::uint64_t start = kGiB - kPageBytes;
  const std::uint64_t size = kPageBytes + kGiB + 2 * kMiB + kPageBytes;
  ASSERT_EQ(map(kVa + start, start, size), MapStatus::Ok);
  for (const std::uint64_t offset : {std::uint64_t{0}, kPageBytes, kGiB, kGiB + 2 * kMiB, size - 1}) {
    EXPECT_EQ(at(kVa + start + offset).pa, start + offset) << offset;
  }
  EXPECT_FALSE(at(kVa + start - 1).valid);
  EXPECT_FALSE(at(kVa + start + size).valid);
  // root, level 1; level 2 and 3 below the first GiB; level 2 and 3 above the second.
  EXPECT_EQ(tables_used(), 6U);
}

TEST_F(PageTableTest, different_offsets_within_a_block_fall_back_to_pages) {
  ASSERT_EQ(map(kVa, kPageBytes, 4 * kMiB), MapStatus::Ok);
  EXPECT_EQ(at(kVa + 3 * kMiB).pa, kPageBytes + 3 * kMiB);
  EXPECT_EQ(tables_used(), 5U);  // root, level 1, level 2, two of level 3
}

TEST_F(PageTableTest, mapped_page_is_not_mapped_again) {
  ASSERT_EQ(map(kVa, 0, 2 * kMiB), MapStatus::Ok);
  EXPECT_EQ(map(kVa + kPageBytes, 0x5000, kPageBytes), MapStatus::AlreadyMapped);
  EXPECT_EQ(map(kVa, 0, 2 * kMiB), MapStatus::AlreadyMapped);
  EXPECT_EQ(at(kVa + kPageBytes).pa, kPageBytes);
}

TEST_F(PageTableTest, misaligned_arguments_are_refused) {
  EXPECT_EQ(map(kVa + 1, 0, kPageBytes), MapStatus::Misaligned);
  EXPECT_EQ(map(kVa, 1, kPageBytes), MapStatus::Misaligned);
  EXPECT_EQ(map(kVa, 0, kPageBytes + 1), MapStatus::Misaligned);
}

TEST_F(PageTableTest, ranges_that_wrap_or_leave_the_address_size_are_refused) {
  constexpr std::uint64_t kTop = std::uint64_t{1} << 48;
  EXPECT_EQ(map(kVa, kTop, kPageBytes), MapStatus::OutOfRange);
  EXPECT_EQ(map(kVa, kTop - kPageBytes, 2 * kPageBytes), MapStatus::OutOfRange);
  EXPECT_EQ(map(~std::uint64_t{0} - kPageBytes + 1, 0, 2 * kPageBytes), MapStatus::OutOfRange);
}

TEST_F(PageTableTest, last_page_of_the_address_space_can_be_mapped) {
  const std::uint64_t last = ~std::uint64_t{0} - kPageBytes + 1;
  ASSERT_EQ(map(last, 0x1000, kPageBytes), MapStatus::Ok);
  EXPECT_EQ(at(~std::uint64_t{0}).pa, 0x1fffU);
}

TEST_F(PageTableTest, running_out_of_tables_is_reported) {
  MapStatus status = MapStatus::Ok;
  for (std::uint64_t i = 0; status == MapStatus::Ok; ++i) {
    ASSERT_LT(i, kTables);
    status = map(kVa + i * kGiB, 0, kPageBytes);
  }
  EXPECT_EQ(status, MapStatus::OutOfTables);
}

TEST_F(PageTableTest, empty_range_maps_nothing) {
  ASSERT_EQ(map(kVa, 0, 0), MapStatus::Ok);
  EXPECT_FALSE(at(kVa).valid);
}

}  // namespace
}  // namespace guest::arch
