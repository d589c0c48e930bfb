#include "guest/process/elf.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "elf_builder.hpp"

namespace guest::process {
namespace {

using arch::Access;
using testing::ElfFile;
using testing::ProgramHeader;

constexpr ElfBounds kBounds{.begin = 0x1'0000, .end = std::uint64_t{1} << 46, .max_bytes = 0x10'0000};

/// The error's name, or "ok"; nothing is held after an error.
std::string read(const std::vector<std::byte>& bytes, const ElfBounds& bounds = kBounds) {
  ElfImage image;
  const kernel::Outcome outcome = read_elf(bytes, bounds, image);
  EXPECT_EQ(outcome.has_value(), !image.segments.empty());
  EXPECT_TRUE(outcome || !outcome.error().detail.truncated()) << outcome.error().detail.view();
  return outcome ? "ok" : std::string(outcome.error().name);
}
std::string read(const ElfFile& file, const ElfBounds& bounds = kBounds) { return read(file.bytes(), bounds); }

/// The result of a file with one thing changed.
template <typename Change>
std::string changed(Change change) {
  ElfFile file;
  change(file);
  return read(file);
}

TEST(Elf, segments_and_entry_are_those_of_the_file) {
  const std::vector<std::byte> bytes = ElfFile().bytes();
  ElfImage image;
  ASSERT_TRUE(read_elf(bytes, kBounds, image));
  EXPECT_EQ(image.entry, 0x40'0100U);
  ASSERT_EQ(image.segments.size(), 2U);
  const ElfSegment& code = image.segments[0];
  EXPECT_EQ(code.address, 0x40'0000U);
  EXPECT_EQ(code.access, Access::ReadExecute);
  EXPECT_EQ(code.file.data(), bytes.data());
  const ElfSegment& data = image.segments[1];
  EXPECT_EQ(data.first_page(), 0x41'1000U);
  EXPECT_EQ(data.end_page(), 0x41'5000U);
  EXPECT_EQ(data.access, Access::ReadWrite);
  EXPECT_EQ(data.file.data(), bytes.data() + 0x1ff8);
  EXPECT_EQ(data.file.size(), 16U);
}

TEST(Elf, every_prefix_of_a_file_is_refused) {
  const std::vector<std::byte> bytes = ElfFile().bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string result = read(std::vector<std::byte>(bytes.begin(), bytes.begin() + static_cast<long>(size)));
    ASSERT_EQ(result, size < 4 ? "elf-bad-magic" : "elf-truncated") << size;
  }
}

TEST(Elf, identity_is_checked) {
  EXPECT_EQ(changed([](ElfFile& file) { file.header.ident[1] = 'e'; }), "elf-bad-magic");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.ident[4] = 1; }), "elf-bad-machine");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.ident[5] = 2; }), "elf-bad-machine");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.machine = 62; }), "elf-bad-machine");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.type = 3; }), "elf-bad-type");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.type = 1; }), "elf-bad-type");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.ident[6] = 0; }), "elf-bad-header");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.version = 2; }), "elf-bad-header");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.ehsize = 52; }), "elf-bad-header");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.phentsize = 32; }), "elf-bad-header");
}

TEST(Elf, program_header_table_lies_within_the_file) {
  EXPECT_EQ(changed([](ElfFile& file) { file.header.phoff = file.size - 2 * 56 + 1; }), "elf-truncated");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.phoff = file.size + 1; }), "elf-truncated");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.phoff = ~std::uint64_t{0} - 55; }), "elf-truncated");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.phnum = 33; }), "elf-too-many");
  EXPECT_EQ(changed([](ElfFile& file) { file.header.phnum = 0xffff; }), "elf-too-many");  // PN_XNUM
}

TEST(Elf, segment_bytes_lie_within_the_file) {
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].filesz = 0x11; }), "elf-truncated");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].offset = ~std::uint64_t{0} - 7; }), "elf-truncated");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].filesz = ~std::uint64_t{0}; }), "elf-truncated");
}

TEST(Elf, segment_is_as_large_in_memory_as_in_the_file) {
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].memsz = 0x10; }), "ok");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].memsz = 0xf; }), "elf-bad-segment");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].memsz = 0; }), "elf-bad-segment");
}

TEST(Elf, alignment_is_a_power_of_two_that_offset_and_address_agree_on) {
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].align = 0x1'0000; }), "ok");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].align = 0x2'0000; }), "elf-bad-segment");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].align = 5; }), "elf-bad-segment");  // 0x410000 is a multiple
  for (const std::uint64_t none : {0U, 1U}) {
    EXPECT_EQ(changed([none](ElfFile& file) {
                file.programs[1].align = none;
                file.programs[1].vaddr += 1;
              }),
              "ok");
  }
}

TEST(Elf, access_is_never_both_writable_and_executable) {
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].flags = 7; }), "elf-bad-access");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].flags = 3; }), "elf-bad-access");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].flags = 0; }), "elf-bad-access");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].flags = 0xfffffff8; }), "elf-bad-access");
  for (const auto& [flags, access] :
       {std::pair{4U, Access::ReadOnly}, {2U, Access::ReadWrite}, {1U, Access::ReadExecute}}) {
    ElfFile file;
    file.programs[1].flags = flags;
    ElfImage image;
    const std::vector<std::byte> bytes = file.bytes();
    ASSERT_TRUE(read_elf(bytes, kBounds, image));
    EXPECT_EQ(image.segments[1].access, access);
  }
}

TEST(Elf, executable_stack_is_refused_and_a_plain_one_is_not) {
  EXPECT_EQ(changed([](ElfFile& file) { file.programs.push_back({.type = 0x6474e551, .flags = 7}); }),
            "elf-bad-access");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs.push_back({.type = 0x6474e551, .flags = 6}); }), "ok");
}

TEST(Elf, program_for_a_dynamic_linker_is_refused) {
  EXPECT_EQ(changed([](ElfFile& file) { file.programs.push_back({.type = 3}); }), "elf-dynamic");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs.push_back({.type = 2}); }), "elf-dynamic");
}

TEST(Elf, header_of_an_unknown_type_is_passed_over) {
  EXPECT_EQ(changed([](ElfFile& file) { file.programs.push_back({.type = 0x70000003, .offset = ~std::uint64_t{0}}); }),
            "ok");
}

TEST(Elf, segment_lies_within_the_bounds) {
  const auto with_data_at = [](std::uint64_t address, std::uint64_t bytes) {
    return changed([=](ElfFile& file) {
      file.programs[1].align = 1;
      file.programs[1].vaddr = address;
      file.programs[1].memsz = bytes;
    });
  };
  EXPECT_EQ(with_data_at(kBounds.end - 0x1000, 0x1000), "ok");
  EXPECT_EQ(with_data_at(kBounds.end - 0x1000, 0x1001), "elf-out-of-range");
  EXPECT_EQ(with_data_at(kBounds.end, 0x10), "elf-out-of-range");
  EXPECT_EQ(with_data_at(0xffff'0000'0000'0000, 0x1000), "elf-out-of-range");
  EXPECT_EQ(with_data_at(0x50'0000, ~std::uint64_t{0}), "elf-out-of-range");
  EXPECT_EQ(with_data_at(~std::uint64_t{0} - 0xf, 0x20), "elf-out-of-range");  // the sum wraps
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[0].vaddr = 0; }), "elf-out-of-range");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[0].vaddr = kBounds.begin - 0x1000; }), "elf-out-of-range");
}

TEST(Elf, segments_ascend_in_pages_of_their_own) {
  EXPECT_EQ(changed([](ElfFile& file) { std::swap(file.programs[0], file.programs[1]); }), "elf-overlap");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].vaddr = 0x40'0ff8; }), "elf-overlap");  // the same page
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].vaddr = 0x40'1ff8; }), "ok");           // the next one
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1] = file.programs[0]; }), "elf-overlap");
}

TEST(Elf, size_is_counted_in_pages_of_all_segments) {
  const std::uint64_t pages = 1 + 4;
  EXPECT_EQ(read(ElfFile(), {.begin = 0, .end = 0x100'0000, .max_bytes = pages * 4096}), "ok");
  EXPECT_EQ(read(ElfFile(), {.begin = 0, .end = 0x100'0000, .max_bytes = pages * 4096 - 1}), "elf-too-large");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs[1].memsz = 0x1000'0000'0000; }), "elf-too-large");
}

TEST(Elf, number_of_segments_is_bounded_and_empty_ones_are_none) {
  const auto with = [](std::size_t count, std::uint64_t bytes) {
    ElfFile file;
    for (std::size_t i = 0; i < count; ++i) {
      file.programs.push_back({.flags = 4, .vaddr = 0x50'0000 + i * 0x1000, .filesz = 0, .memsz = bytes});
    }
    return read(file);
  };
  EXPECT_EQ(with(ElfImage::kMaxSegments - 2, 1), "ok");
  EXPECT_EQ(with(ElfImage::kMaxSegments - 1, 1), "elf-too-many");
  EXPECT_EQ(with(ElfImage::kMaxSegments + 1, 0), "ok");
}

TEST(Elf, entry_is_an_instruction_in_an_executable_segment) {
  const auto with_entry = [](std::uint64_t entry) {
    return changed([=](ElfFile& file) { file.header.entry = entry; });
  };
  EXPECT_EQ(with_entry(0x40'0ffc), "ok");
  EXPECT_EQ(with_entry(0x40'0102), "elf-bad-entry");
  EXPECT_EQ(with_entry(0x40'1000), "elf-bad-entry");
  EXPECT_EQ(with_entry(0x3f'fffc), "elf-bad-entry");
  EXPECT_EQ(with_entry(0x41'2000), "elf-bad-entry");  // data
  EXPECT_EQ(with_entry(0), "elf-bad-entry");
  EXPECT_EQ(changed([](ElfFile& file) { file.programs.clear(); }), "elf-bad-entry");
}

}  // namespace
}  // namespace guest::process
