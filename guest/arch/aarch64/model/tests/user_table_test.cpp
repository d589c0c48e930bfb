#include "guest/arch/model/user_table.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>

namespace guest::arch {
namespace {

/// Host memory as pages. Dirty before it is handed out, checked for double frees.
class FakePages final : public PageSource {
 public:
  static constexpr std::uint64_t kBase = 0x4000'0000;
  static constexpr std::uint64_t kPages = 64;

  std::uint64_t allocate() override {
    if (live.size() >= limit) {
      return 0;
    }
    std::uint64_t pa = kBase;
    while (live.contains(pa)) {
      pa += kPageBytes;
    }
    live.insert(pa);
    std::memset(pointer(pa), 0, kPageBytes);
    return pa;
  }
  void free(std::uint64_t pa) override {
    EXPECT_EQ(live.erase(pa), 1U) << std::hex << pa;
    std::memset(pointer(pa), 0xff, kPageBytes);
  }
  [[nodiscard]] void* pointer(std::uint64_t pa) const override { return memory_.get() + (pa - kBase); }

  std::set<std::uint64_t> live;
  std::size_t limit = kPages;

 private:
  std::unique_ptr<std::byte, decltype(&std::free)> memory_{
      static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kPages* kPageBytes)), &std::free};
};

class UserTableTest : public ::testing::Test {
 protected:
  /// A new page at `va`; its physical address.
  std::uint64_t map(std::uint64_t va, Access access = Access::ReadWrite) {
    const std::uint64_t pa = pages.allocate();
    EXPECT_EQ(table.map(va, pa, access), MapStatus::Ok);
    return pa;
  }
  FakePages pages;
  UserTable table{pages};
};

constexpr std::uint64_t kTaskVa = 0x40'0000;

TEST_F(UserTableTest, nothing_is_mapped_at_first) {
  EXPECT_EQ(table.root_pa(), 0U);
  EXPECT_FALSE(table.find(0).valid);
  EXPECT_EQ(table.unmap(kTaskVa), 0U);
  table.clear();
}

TEST_F(UserTableTest, page_translates_to_its_bytes_and_neighbours_do_not) {
  const std::uint64_t pa = map(kTaskVa);
  EXPECT_EQ(table.find(kTaskVa + 0x123).pa, pa + 0x123);
  EXPECT_FALSE(table.find(kTaskVa - 1).valid);
  EXPECT_FALSE(table.find(kTaskVa + kPageBytes).valid);
}

TEST_F(UserTableTest, pages_belong_to_the_user_with_the_access_asked_for) {
  for (const Access access : {Access::ReadOnly, Access::ReadWrite, Access::ReadExecute}) {
    const std::uint64_t va = kTaskVa + static_cast<std::uint64_t>(access) * kPageBytes;
    map(va, access);
    EXPECT_EQ(table.find(va).attributes, user_memory(access));
  }
}

TEST_F(UserTableTest, first_and_last_page_can_be_mapped_and_the_one_beyond_cannot) {
  map(0);
  map(kUserEnd - kPageBytes);
  const std::uint64_t pa = pages.allocate();
  EXPECT_EQ(table.map(kUserEnd, pa, Access::ReadWrite), MapStatus::OutOfRange);
  EXPECT_EQ(table.map(0xffff'0000'0000'0000, pa, Access::ReadWrite), MapStatus::OutOfRange);
  EXPECT_FALSE(table.find(kUserEnd).valid);
  EXPECT_FALSE(table.find(std::uint64_t{1} << 48).valid);  // the bits that the tables translate are those of page 0
  EXPECT_EQ(table.unmap(std::uint64_t{1} << 48), 0U);
  EXPECT_EQ(table.map(kTaskVa, std::uint64_t{1} << 48, Access::ReadWrite), MapStatus::OutOfRange);
}

TEST_F(UserTableTest, misaligned_and_mapped_pages_are_refused) {
  const std::uint64_t pa = map(kTaskVa);
  EXPECT_EQ(table.map(kTaskVa + 1, pa, Access::ReadWrite), MapStatus::Misaligned);
  EXPECT_EQ(table.map(kTaskVa + kPageBytes, pa + 1, Access::ReadWrite), MapStatus::Misaligned);
  EXPECT_EQ(table.map(kTaskVa, pages.allocate(), Access::ReadOnly), MapStatus::AlreadyMapped);
  EXPECT_EQ(table.find(kTaskVa).pa, pa);
}

TEST_F(UserTableTest, unmapped_page_is_returned_once) {
  const std::uint64_t pa = map(kTaskVa);
  EXPECT_EQ(table.unmap(kTaskVa + 1), 0U);
  EXPECT_EQ(table.unmap(kTaskVa), pa);
  EXPECT_EQ(table.unmap(kTaskVa), 0U);
  EXPECT_FALSE(table.find(kTaskVa).valid);
  EXPECT_TRUE(pages.live.contains(pa));
}

// Each allocation on the way fails once; nothing of it may be lost or mapped.
TEST_F(UserTableTest, running_out_of_tables_maps_nothing_and_loses_nothing) {
  for (std::size_t tables = 0; tables < 4; ++tables) {
    const std::uint64_t pa = pages.allocate();
    pages.limit = 1 + tables;
    EXPECT_EQ(table.map(kTaskVa, pa, Access::ReadWrite), MapStatus::OutOfTables) << tables;
    EXPECT_FALSE(table.find(kTaskVa).valid);
    pages.limit = FakePages::kPages;
    EXPECT_EQ(table.map(kTaskVa, pa, Access::ReadWrite), MapStatus::Ok);
    EXPECT_EQ(pages.live.size(), 5U);
    table.clear();
    EXPECT_TRUE(pages.live.empty());
  }
}

TEST_F(UserTableTest, clear_gives_back_every_page_and_every_table) {
  for (const std::uint64_t va : {std::uint64_t{0}, kTaskVa, kTaskVa + kPageBytes, kTaskVa + (std::uint64_t{1} << 21),
                                 std::uint64_t{1} << 30, std::uint64_t{1} << 39, kUserEnd - kPageBytes}) {
    map(va);
  }
  table.clear();
  EXPECT_TRUE(pages.live.empty());
  EXPECT_EQ(table.root_pa(), 0U);
  EXPECT_FALSE(table.find(kTaskVa).valid);
  map(kTaskVa);  // and it can be used again
  table.clear();
  EXPECT_TRUE(pages.live.empty());
}

}  // namespace
}  // namespace guest::arch
