#include "vmm/mmio/bus.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace vmm::mmio {
namespace {

/// Remembers its last access; reads as its tag and the offset.
struct FakeDevice final : Device {
  explicit FakeDevice(std::uint64_t tag_of_device = 0) : tag(tag_of_device) {}
  std::uint64_t tag;
  int reads = 0, writes = 0;
  std::uint64_t offset = 0, value = 0;
  unsigned size = 0;
  std::uint64_t read(std::uint64_t at, unsigned size_bytes) override {
    ++reads;
    offset = at;
    size = size_bytes;
    return tag << 32 | at;
  }
  void write(std::uint64_t at, unsigned size_bytes, std::uint64_t written) override {
    ++writes;
    offset = at;
    size = size_bytes;
    value = written;
  }
};

struct BusTest : ::testing::Test {
  std::vector<UnknownAccess> unknown;
  Bus bus{[this](const UnknownAccess& access) { unknown.push_back(access); }};
};

TEST_F(BusTest, access_reaches_its_device_with_offset_and_size) {
  FakeDevice device(7);
  ASSERT_TRUE(bus.add("uart", Gpa(0x900'0000), 0x1000, device));
  EXPECT_EQ(bus.read(Gpa(0x900'0018), 4), (std::uint64_t{7} << 32 | 0x18));
  bus.write(Gpa(0x900'0ffe), 2, 0xabcd);
  EXPECT_EQ(device.offset, 0xffeu);
  EXPECT_EQ(device.size, 2u);
  EXPECT_EQ(device.value, 0xabcdu);
  EXPECT_EQ(bus.unknown_accesses(), 0u);
}

TEST_F(BusTest, eight_slots_of_a_page_are_told_apart) {
  std::vector<FakeDevice> slots;
  for (std::uint64_t i = 0; i < 32; ++i) slots.emplace_back(i);
  // Backwards: the order in which devices are added does not matter.
  for (std::uint64_t i = 32; i-- > 0;) {
    ASSERT_TRUE(bus.add("slot", Gpa(0xa00'0000 + i * 0x200), 0x200, slots[i]));
  }
  for (std::uint64_t i = 0; i < 32; ++i) {
    EXPECT_EQ(bus.read(Gpa(0xa00'0000 + i * 0x200), 4), i << 32);
    EXPECT_EQ(bus.read(Gpa(0xa00'0000 + i * 0x200 + 0x1fc), 4), (i << 32 | 0x1fc));
  }
}

TEST_F(BusTest, device_of_many_pages_is_found_in_each) {
  FakeDevice device;
  ASSERT_TRUE(bus.add("wide", Gpa(0x1000'0800), 0x4'0000, device));
  for (std::uint64_t offset = 0; offset < 0x4'0000; offset += 0x400) {
    EXPECT_EQ(bus.read(Gpa(0x1000'0800 + offset), 8), offset);
  }
  EXPECT_EQ(bus.unknown_accesses(), 0u);
}

TEST_F(BusTest, device_at_the_end_of_addresses_is_found) {
  FakeDevice device;
  ASSERT_TRUE(bus.add("last", Gpa(UINT64_MAX - 0xff), 0x100, device));
  EXPECT_EQ(bus.read(Gpa(UINT64_MAX), 1), 0xffu);
  EXPECT_EQ(bus.read(Gpa(UINT64_MAX), 2), 0u);
  EXPECT_EQ(device.reads, 1);
}

TEST_F(BusTest, unknown_address_reads_zero_and_is_counted) {
  FakeDevice device(1);
  ASSERT_TRUE(bus.add("slot", Gpa(0xa00'0200), 0x200, device));
  for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0xa00'01ff}, std::uint64_t{0xa00'0400},
                                      std::uint64_t{0xb00'0200}, UINT64_MAX}) {
    EXPECT_EQ(bus.read(Gpa(address), 1), 0u) << address;
    bus.write(Gpa(address), 1, 1);
  }
  EXPECT_EQ(bus.unknown_accesses(), 10u);
  EXPECT_EQ(device.reads + device.writes, 0);
}

TEST_F(BusTest, access_over_an_edge_is_unknown) {
  FakeDevice first(1), second(2);
  ASSERT_TRUE(bus.add("first", Gpa(0xa00'0000), 0x200, first));
  ASSERT_TRUE(bus.add("second", Gpa(0xa00'0200), 0x200, second));
  EXPECT_EQ(bus.read(Gpa(0xa00'01fe), 4), 0u);
  EXPECT_EQ(bus.read(Gpa(0xa00'03fc), 8), 0u);
  EXPECT_EQ(first.reads + second.reads, 0);
  EXPECT_EQ(bus.unknown_accesses(), 2u);
}

TEST_F(BusTest, odd_sizes_are_unknown) {
  FakeDevice device;
  ASSERT_TRUE(bus.add("uart", Gpa(0x900'0000), 0x1000, device));
  for (const unsigned size : {0u, 3u, 16u, UINT32_MAX}) EXPECT_EQ(bus.read(Gpa(0x900'0000), size), 0u);
  EXPECT_EQ(device.reads, 0);
  EXPECT_EQ(bus.unknown_accesses(), 4u);
}

TEST_F(BusTest, unknown_address_is_reported_once) {
  bus.write(Gpa(0x1000), 4, 5);
  (void)bus.read(Gpa(0x1000), 4);
  (void)bus.read(Gpa(0x1004), 2);
  ASSERT_EQ(unknown.size(), 2u);
  EXPECT_EQ(unknown[0].address, Gpa(0x1000));
  EXPECT_TRUE(unknown[0].is_write);
  EXPECT_EQ(unknown[0].value, 5u);
  EXPECT_EQ(unknown[0].size_bytes, 4u);
  EXPECT_EQ(unknown[1].address, Gpa(0x1004));
  EXPECT_FALSE(unknown[1].is_write);
}

TEST_F(BusTest, reports_are_bounded_and_the_last_says_so) {
  for (std::uint64_t i = 0; i < 1000; ++i) (void)bus.read(Gpa(i * 8), 8);
  ASSERT_EQ(unknown.size(), Bus::kMaxReports);
  EXPECT_TRUE(unknown.back().last_report);
  EXPECT_FALSE(unknown.front().last_report);
  EXPECT_EQ(bus.unknown_accesses(), 1000u);
}

TEST(Bus, threads_that_find_the_same_addresses_report_each_once) {
  std::atomic<int> reports{0};
  Bus bus([&](const UnknownAccess&) { ++reports; });
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t address = 0; address < 50; ++address) (void)bus.read(Gpa(address), 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(reports, 50);
  EXPECT_EQ(bus.unknown_accesses(), 200u);
}

TEST_F(BusTest, bad_ranges_are_refused_by_name) {
  FakeDevice device;
  ASSERT_TRUE(bus.add("uart", Gpa(0x900'0000), 0x1000, device));
  const auto refused = [&](std::uint64_t base, std::uint64_t size) {
    const auto added = bus.add("rtc", Gpa(base), size, device);
    return added ? std::string("accepted") : added.error().message;
  };
  EXPECT_EQ(refused(0x900'0fff, 1), "device rtc at 0x9000fff, 1 bytes: overlaps uart at 0x9000000");
  EXPECT_EQ(refused(0x8ff'ffff, 2), "device rtc at 0x8ffffff, 2 bytes: overlaps uart at 0x9000000");
  EXPECT_EQ(refused(0x1000, 0), "device rtc at 0x1000, 0 bytes: the range is empty or wraps");
  EXPECT_EQ(refused(UINT64_MAX, 2), "device rtc at 0xffffffffffffffff, 2 bytes: the range is empty or wraps");
  EXPECT_EQ(refused(0x1000'0000, 0x100'0001),
            "device rtc at 0x10000000, 16777217 bytes: more than 4096 pages of devices");
  EXPECT_EQ(refused(0x1000'0000, 0x100'0000),
            "device rtc at 0x10000000, 16777216 bytes: more than 4096 pages of devices");
}

TEST_F(BusTest, refused_device_leaves_no_trace) {
  FakeDevice device(3);
  for (std::uint64_t i = 0; i < Bus::kRangesPerPage; ++i) ASSERT_TRUE(bus.add("x", Gpa(i * 0x100), 0x100, device));
  // Its first page has room, its last has none.
  ASSERT_TRUE(bus.add("y", Gpa(0x2000), 0x100, device));
  for (std::uint64_t i = 1; i < Bus::kRangesPerPage; ++i) {
    ASSERT_TRUE(bus.add("y", Gpa(0x2000 + i * 0x100), 0x100, device));
  }
  const auto added = bus.add("z", Gpa(0x2800), 0x100, device);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message, "device z at 0x2800, 256 bytes: more than 8 in a page");
  EXPECT_EQ(bus.read(Gpa(0x2800), 4), 0u);
  ASSERT_TRUE(bus.add("z", Gpa(0x3000), 0x100, device));
}

TEST_F(BusTest, number_of_devices_is_limited) {
  FakeDevice device;
  for (std::uint64_t i = 0; i < Bus::kMaxDevices; ++i) ASSERT_TRUE(bus.add("x", Gpa(i * 0x200), 0x200, device));
  EXPECT_FALSE(bus.add("x", Gpa(Bus::kMaxDevices * 0x200), 0x200, device));
}

}  // namespace
}  // namespace vmm::mmio
