#include "vmm/devices/npu/region_table.hpp"

#include <gtest/gtest.h>

#include "vmm/virtio/testing/fake_driver.hpp"

namespace vmm::npu {
namespace {

using abi::npu::Reason;
using abi::npu::Status;
using virtio::testing::FakeGuest;
namespace region_flag = abi::npu::region_flag;

constexpr std::uint64_t kRamBase = FakeGuest::kBase;
constexpr std::size_t kBytes = std::size_t{1} << 20;

struct RegionTableTest : ::testing::Test {
  FakeGuest guest{kBytes};
  RegionTable table{4};
  void SetUp() override { table.move_to(guest.memory()); }
  [[nodiscard]] Reason refusal(std::uint64_t address, std::uint64_t bytes, std::uint32_t flags = region_flag::kRead) {
    const auto added = table.add(address, bytes, flags);
    return added ? Reason::None : added.error().reason;
  }
};

TEST_F(RegionTableTest, region_is_where_the_guest_has_it) {
  const auto handle = table.add(kRamBase + 64, 128, region_flag::kRead | region_flag::kWrite);
  const ::npu::Region* region = table.find(*handle);
  ASSERT_NE(region, nullptr);
  EXPECT_EQ(region->base, guest.memory()->slice(Gpa(kRamBase + 64), 1)->raw());
  EXPECT_EQ(region->bytes, 128U);
  EXPECT_EQ(table.find(*handle + 1), nullptr);
  EXPECT_EQ(table.find(abi::npu::kNoRegion), nullptr);
}

TEST_F(RegionTableTest, ranges_that_are_not_in_guest_memory_are_refused) {
  EXPECT_EQ(refusal(kRamBase, kBytes), Reason::None) << "all of it";
  EXPECT_EQ(refusal(kRamBase, kBytes + 1), Reason::GuestMemory);
  EXPECT_EQ(refusal(kRamBase + 64, kBytes), Reason::GuestMemory);
  EXPECT_EQ(refusal(kRamBase - 64, 128), Reason::GuestMemory);
  EXPECT_EQ(refusal(kRamBase, UINT64_MAX), Reason::GuestMemory) << "wraps";
  EXPECT_EQ(refusal(UINT64_MAX - 63, 64), Reason::GuestMemory);
  EXPECT_EQ(refusal(UINT64_MAX - 63, 128), Reason::GuestMemory) << "wraps";
  EXPECT_EQ(refusal(kRamBase, 0), Reason::Dimension);
  EXPECT_EQ(refusal(kRamBase + 4, 64), Reason::Misaligned);
  EXPECT_EQ(table.count(), 1U);
}

TEST_F(RegionTableTest, regions_may_overlap_with_rights_of_their_own) {
  const auto whole = table.add(kRamBase, 4096, region_flag::kRead);
  const auto part = table.add(kRamBase + 1024, 4096, region_flag::kWrite);
  EXPECT_EQ(table.find(*whole)->flags, region_flag::kRead);
  EXPECT_EQ(table.find(*part)->flags, region_flag::kWrite);
}

TEST_F(RegionTableTest, flags_that_mean_nothing_are_refused) {
  EXPECT_EQ(refusal(kRamBase, 64, 0), Reason::Flags);
  EXPECT_EQ(refusal(kRamBase, 64, 8 | region_flag::kRead), Reason::Flags);
  EXPECT_EQ(refusal(kRamBase, 64, region_flag::kImmutable), Reason::Flags);
  EXPECT_EQ(refusal(kRamBase, 64, region_flag::kImmutable | region_flag::kRead | region_flag::kWrite), Reason::Flags);
  EXPECT_EQ(refusal(kRamBase, 64, region_flag::kImmutable | region_flag::kRead), Reason::None);
}

TEST_F(RegionTableTest, full_table_says_so_and_old_handles_are_not_used_again) {
  std::vector<std::uint32_t> handles;
  for (int i = 0; i < 4; ++i) handles.push_back(*table.add(kRamBase, 64, region_flag::kRead));
  EXPECT_EQ(refusal(kRamBase, 64), Reason::RegionTable);
  EXPECT_TRUE(table.remove(handles[2]));
  EXPECT_EQ(table.remove(handles[2]).error().reason, Reason::UnknownRegion);
  const auto again = table.add(kRamBase, 64, region_flag::kRead);
  ASSERT_TRUE(again);
  EXPECT_NE(*again, handles[2]);
  EXPECT_EQ(table.find(handles[2]), nullptr);
}

TEST_F(RegionTableTest, held_region_stays) {
  const std::uint32_t handle = *table.add(kRamBase, 64, region_flag::kRead);
  const std::array handles{handle};
  table.hold(handles);
  table.hold(handles);
  EXPECT_EQ(table.remove(handle).error().status, Status::Busy);
  table.release(handles);
  EXPECT_EQ(table.remove(handle).error().reason, Reason::RegionInUse);
  table.release(handles);
  EXPECT_TRUE(table.remove(handle));
  table.release(handles);  // nothing
}

TEST_F(RegionTableTest, other_memory_takes_regions_along_or_away) {
  const std::uint32_t low = *table.add(kRamBase, 64, region_flag::kRead);
  const std::uint32_t high = *table.add(kRamBase + kBytes - 64, 64, region_flag::kRead);
  const FakeGuest smaller(kBytes / 2);
  table.move_to(smaller.memory());
  ASSERT_NE(table.find(low), nullptr);
  EXPECT_EQ(table.find(low)->base, smaller.memory()->slice(Gpa(kRamBase), 1)->raw());
  EXPECT_EQ(table.find(high), nullptr);
  EXPECT_TRUE(table.remove(high)) << "it is still registered";
}

TEST_F(RegionTableTest, saved_table_has_the_same_handles) {
  const std::uint32_t first = *table.add(kRamBase, 64, region_flag::kRead);
  const std::uint32_t second = *table.add(kRamBase + 128, 256, region_flag::kWrite);
  EXPECT_TRUE(table.remove(first));
  RegionTable restored(4);
  ASSERT_TRUE(restored.restore(table.save()));
  EXPECT_EQ(restored.find(second), nullptr) << "no memory yet";
  restored.move_to(guest.memory());
  EXPECT_EQ(restored.find(second)->bytes, 256U);
  EXPECT_EQ(restored.find(first), nullptr);
  EXPECT_EQ(restored.count(), 1U);
}

TEST_F(RegionTableTest, saved_tables_that_none_can_have_been_are_refused) {
  RegionState state{.address = kRamBase, .bytes = 64, .flags = region_flag::kRead, .handle = 1u << 12};
  const auto restores = [](RegionState one) {
    RegionTable restored(4);
    return restored.restore(std::array{one});
  };
  EXPECT_TRUE(restores(state));
  const RegionState good = state;
  state.handle = 5;
  EXPECT_FALSE(restores(state)) << "generation 0";
  state.handle = (1u << 12) + 4;
  EXPECT_FALSE(restores(state)) << "beyond the table";
  state = good;
  state.bytes = 0;
  EXPECT_FALSE(restores(state));
  state = good;
  state.address += 1;
  EXPECT_FALSE(restores(state));
  RegionTable restored(4);
  EXPECT_FALSE(restored.restore(std::array{good, good}));
}

}  // namespace
}  // namespace vmm::npu
