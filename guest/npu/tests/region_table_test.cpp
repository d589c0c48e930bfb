#include "guest/npu/region_table.hpp"

#include <gtest/gtest.h>

#include "guest/npu/testing/job_fixture.hpp"

namespace guest::npu {
namespace {

using abi::npu::Reason;
using abi::npu::Status;
using testing::kReadWrite;
using testing::Numbers;
namespace region_flag = abi::npu::region_flag;

RegionSet hold(RegionTable& table, std::uint32_t handle) {
  const std::array<abi::npu::Command, 1> naming = {testing::doubling(handle, handle)};
  RegionSet held;
  table.hold(naming, held);
  return held;
}

TEST(RegionTable, refuses_what_the_device_refuses) {
  RegionTable table(1);
  Numbers memory;
  EXPECT_EQ(table.add(memory.bytes(), 0).error().reason, Reason::Flags);
  EXPECT_EQ(table.add(memory.bytes(), region_flag::kWrite | region_flag::kImmutable).error().reason, Reason::Flags);
  EXPECT_EQ(table.add(memory.bytes(), 8).error().reason, Reason::Flags);
  EXPECT_EQ(table.add(memory.bytes().subspan(4), kReadWrite).error().reason, Reason::Misaligned);
  EXPECT_EQ(table.add(memory.bytes().first(0), kReadWrite).error().reason, Reason::Dimension);
  ASSERT_TRUE(table.add(memory.bytes(), kReadWrite));
  EXPECT_EQ(table.add(memory.bytes(), kReadWrite).error().reason, Reason::RegionTable);
  EXPECT_EQ(table.remove(12345).error().reason, Reason::UnknownRegion);
  EXPECT_EQ(table.remove(abi::npu::kNoRegion).error().reason, Reason::UnknownRegion);
}

TEST(RegionTable, a_handle_is_not_soon_another_regions) {
  RegionTable table(1);
  Numbers memory;
  const std::uint32_t first = *table.add(memory.bytes(), kReadWrite);
  ASSERT_TRUE(table.remove(first));
  const std::uint32_t second = *table.add(memory.bytes(), kReadWrite);
  EXPECT_NE(first, second);
  EXPECT_EQ(table.remove(first).error().reason, Reason::UnknownRegion);
}

TEST(RegionTable, a_region_that_is_held_stays) {
  RegionTable table;
  Numbers memory;
  const std::uint32_t handle = *table.add(memory.bytes(), kReadWrite);
  const RegionSet first = hold(table, handle);
  const RegionSet second = hold(table, handle);
  EXPECT_EQ(table.remove(handle).error().reason, Reason::RegionInUse);
  table.release(first);
  EXPECT_EQ(table.remove(handle).error().status, Status::Busy);
  table.release(second);
  EXPECT_TRUE(table.remove(handle));
}

TEST(RegionTable, a_job_finds_what_it_holds_and_nothing_else) {
  RegionTable table;
  Numbers memory[2];
  const std::uint32_t held_handle = *table.add(memory[0].bytes(), kReadWrite);
  const std::uint32_t other = *table.add(memory[1].bytes(), region_flag::kRead);
  const RegionSet set = hold(table, held_handle);
  const HeldRegions held(table, set);
  ASSERT_NE(held.find(held_handle), nullptr);
  EXPECT_EQ(held.find(held_handle)->base, memory[0].bytes().data());
  EXPECT_EQ(held.find(other), nullptr);
  EXPECT_EQ(held.find(held_handle + (1U << 12)), nullptr) << "another generation";
  EXPECT_EQ(held.find(~std::uint32_t{0}), nullptr);
  table.release(set);
}

TEST(RegionTable, all_places_can_be_used) {
  RegionTable table;
  Numbers memory;
  for (std::size_t i = 0; i < kMaxRegions; ++i) {
    ASSERT_TRUE(table.add(memory.bytes(), kReadWrite));
  }
  EXPECT_FALSE(table.add(memory.bytes(), kReadWrite));
  EXPECT_EQ(table.count(), kMaxRegions);
}

}  // namespace
}  // namespace guest::npu
