#include "vmm/memory/guest_memory.hpp"

#include <gtest/gtest.h>

#include <array>

#include "abi/endian.hpp"

namespace vmm {
namespace {

constexpr std::size_t kPage = 4096;
constexpr Gpa kLow{0x4000'0000};               // region A: two pages
constexpr Gpa kNext{0x4000'2000};              // region B: one page, adjacent to A
constexpr Gpa kAlone{0x8000'0000};             // region C: one page after a gap
constexpr Gpa kTop{UINT64_MAX - (kPage - 1)};  // region D: the last page of the address space

GuestMemory::Region region(Gpa base, std::size_t size, std::size_t skip = 0) {
  return {.base = base, .size_bytes = size, .mapping = *MappedRegion::anonymous(size + skip), .skip_bytes = skip};
}

GuestMemory memory() {
  std::vector<GuestMemory::Region> regions;
  regions.push_back(region(kAlone, kPage, kPage));
  regions.push_back(region(kTop, kPage));
  regions.push_back(region(kLow, 2 * kPage));
  regions.push_back(region(kNext, kPage));
  return std::move(*GuestMemory::create(std::move(regions)));
}

Gpa at(Gpa base, std::uint64_t offset) { return *base.plus(offset); }

TEST(guest_memory, first_and_last_byte_of_a_region_are_accessible) {
  const auto mem = memory();
  EXPECT_TRUE(mem.write<std::uint8_t>(kAlone, 7));
  EXPECT_TRUE(mem.write<std::uint8_t>(at(kAlone, kPage - 1), 9));
  EXPECT_EQ(mem.read<std::uint8_t>(kAlone), 7);
  EXPECT_EQ(mem.read<std::uint8_t>(at(kAlone, kPage - 1)), 9);
}

TEST(guest_memory, one_byte_before_and_after_a_region_is_an_error) {
  const auto mem = memory();
  EXPECT_FALSE(mem.read<std::uint8_t>(Gpa(kLow.value() - 1)));
  EXPECT_FALSE(mem.read<std::uint8_t>(at(kAlone, kPage)));
  EXPECT_FALSE(mem.read<std::uint32_t>(at(kAlone, kPage - 3)));
  EXPECT_FALSE(mem.write<std::uint32_t>(at(kAlone, kPage - 3), 1));
}

TEST(guest_memory, range_that_wraps_is_an_error) {
  const auto mem = memory();
  EXPECT_TRUE(mem.read<std::uint8_t>(Gpa(UINT64_MAX)));
  EXPECT_FALSE(mem.read<std::uint16_t>(Gpa(UINT64_MAX)));
  EXPECT_FALSE(mem.slice(kTop, kPage + 1));
  EXPECT_FALSE(mem.slice(kAlone, UINT64_MAX));
  std::vector<GuestSlice> slices;
  EXPECT_FALSE(mem.append_slices(kTop, UINT64_MAX, slices));
  EXPECT_TRUE(slices.empty());
}

TEST(guest_memory, last_page_of_the_address_space_is_accessible_whole) {
  const auto mem = memory();
  EXPECT_TRUE(mem.slice(kTop, kPage));
  std::array<std::byte, kPage> page{};
  EXPECT_TRUE(mem.copy_in(kTop, page));
}

TEST(guest_memory, zero_length_is_allowed_only_in_and_at_the_end_of_a_region) {
  const auto mem = memory();
  EXPECT_TRUE(mem.slice(kAlone, 0));
  EXPECT_TRUE(mem.slice(at(kAlone, kPage), 0));
  EXPECT_FALSE(mem.slice(at(kAlone, kPage + 1), 0));
  EXPECT_FALSE(mem.slice(Gpa(0), 0));
}

TEST(guest_memory, copy_over_adjacent_regions_is_contiguous) {
  const auto mem = memory();
  const std::array<std::byte, 4> sent{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  std::array<std::byte, 4> got{};
  EXPECT_TRUE(mem.copy_in(Gpa(kNext.value() - 2), sent));
  EXPECT_TRUE(mem.copy_out(Gpa(kNext.value() - 2), got));
  EXPECT_EQ(sent, got);
  EXPECT_EQ(mem.read<std::uint8_t>(kNext), 3);
  EXPECT_FALSE(mem.slice(Gpa(kNext.value() - 2), 4));
}

TEST(guest_memory, copy_into_a_gap_changes_nothing) {
  const auto mem = memory();
  const std::array<std::byte, 2 * kPage> ones = [] {
    std::array<std::byte, 2 * kPage> bytes;
    bytes.fill(std::byte{1});
    return bytes;
  }();
  EXPECT_FALSE(mem.copy_in(kNext, ones));
  EXPECT_EQ(mem.read<std::uint8_t>(kNext), 0);
}

TEST(guest_memory, mapping_offset_is_skipped) {
  auto first = region(kAlone, kPage, kPage);
  first.mapping.data()[kPage] = std::byte{42};
  std::vector<GuestMemory::Region> regions;
  regions.push_back(std::move(first));
  const auto mem = GuestMemory::create(std::move(regions));
  EXPECT_EQ(mem->read<std::uint8_t>(kAlone), 42);
}

TEST(guest_memory, values_of_every_width_and_alignment_survive) {
  const auto mem = memory();
  for (std::uint64_t offset = 0; offset < 8; ++offset) {
    EXPECT_TRUE(mem.write<abi::Le64>(at(kAlone, offset), 0x1122'3344'5566'7788));
    EXPECT_EQ(mem.read<abi::Le64>(at(kAlone, offset))->value(), 0x1122'3344'5566'7788u);
    EXPECT_TRUE(mem.write<abi::Le32>(at(kAlone, offset), 0x99AA'BBCC));
    EXPECT_EQ(mem.read<abi::Le32>(at(kAlone, offset))->value(), 0x99AA'BBCCu);
    EXPECT_TRUE(mem.write<abi::Le16>(at(kAlone, offset), 0xDDEE));
    EXPECT_EQ(mem.read<abi::Le16>(at(kAlone, offset))->value(), 0xDDEE);
  }
}

TEST(guest_memory, error_names_address_and_size) {
  const auto mem = memory();
  EXPECT_EQ(mem.slice(Gpa(0x1000), 0x20).error().message(),
            "0x20 bytes at guest address 0x1000 do not lie in guest memory");
}

TEST(guest_memory, create_refuses_bad_regions) {
  const auto refused = [](auto... parts) {
    std::vector<GuestMemory::Region> regions;
    (regions.push_back(std::move(parts)), ...);
    return !GuestMemory::create(std::move(regions)).has_value();
  };
  EXPECT_TRUE(refused(region(kLow, 2 * kPage), region(at(kLow, kPage), kPage)));
  EXPECT_TRUE(refused(region(kLow, kPage), region(kLow, kPage)));
  EXPECT_TRUE(refused(region(at(kTop, 1), kPage)));
  auto empty = region(kLow, kPage);
  empty.size_bytes = 0;
  EXPECT_TRUE(refused(std::move(empty)));
  auto large = region(kLow, kPage, kPage);
  large.size_bytes = kPage + 1;
  EXPECT_TRUE(refused(std::move(large)));
}

TEST(guest_memory, without_regions_nothing_is_accessible) {
  const auto mem = GuestMemory::create({});
  EXPECT_FALSE(mem->slice(Gpa(0), 0));
  EXPECT_EQ(mem->size_bytes(), 0u);
}

TEST(guest_slice, part_is_clamped) {
  std::array<std::byte, 8> bytes{};
  const GuestSlice slice(bytes.data(), bytes.size());
  EXPECT_EQ(slice.part(2, 3).size(), 3u);
  EXPECT_EQ(slice.part(6, 3).size(), 2u);
  EXPECT_EQ(slice.part(9).size(), 0u);
}

}  // namespace
}  // namespace vmm
