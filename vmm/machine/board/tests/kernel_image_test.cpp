#include "vmm/machine/board/kernel_image.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>

#include "vmm/machine/board/boot_layout.hpp"

namespace vmm::board {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr AddressRange kRam{kRamBase, 64 * kMiB};

GuestMemory make_memory() {
  std::vector<GuestMemory::Region> regions(1);
  regions[0].base = kRam.base;
  regions[0].size_bytes = kRam.size_bytes;
  regions[0].mapping = *MappedRegion::anonymous(kRam.size_bytes);
  return *GuestMemory::create(std::move(regions));
}

/// Bytes that fields are put into by offset, as the formats' documents give them.
class File {
 public:
  explicit File(std::size_t size) : bytes_(size) {}
  template <typename T>
  File& put(std::size_t offset, T value) {
    for (std::size_t i = 0; i < sizeof value; ++i) {
      bytes_.at(offset + i) = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i));
    }
    return *this;
  }
  [[nodiscard]] Result<KernelImage> inspect(KernelFormat format = KernelFormat::Auto) const {
    return inspect_kernel(source(), format, kRam);
  }
  [[nodiscard]] std::string refusal(KernelFormat format = KernelFormat::Auto) const {
    const auto kernel = inspect(format);
    if (kernel) return "accepted";
    EXPECT_EQ(kernel.error().exit_code, abi::ExitCode::Usage);
    return kernel.error().message;
  }
  [[nodiscard]] MemoryImage source() const { return {"the.kernel", bytes_}; }

 private:
  std::vector<std::byte> bytes_;
};

File linux_image() {
  File file(4096);
  file.put<std::uint64_t>(8, 0x8'0000);    // text_offset
  file.put<std::uint64_t>(16, 0x20'0000);  // image_size
  file.put<std::uint32_t>(56, 0x644d'5241);
  file.put<std::uint32_t>(4092, 0x1234'5678);
  return file;
}

constexpr std::size_t kFirstSegment = 64;
constexpr std::size_t kSecondSegment = 64 + 56;

void put_segment(File& file, std::size_t at, std::uint64_t offset, std::uint64_t virtual_address,
                 std::uint64_t physical_address, std::uint64_t file_bytes, std::uint64_t memory_bytes) {
  file.put<std::uint32_t>(at, 1);
  file.put<std::uint64_t>(at + 8, offset);
  file.put<std::uint64_t>(at + 16, virtual_address);
  file.put<std::uint64_t>(at + 24, physical_address);
  file.put<std::uint64_t>(at + 32, file_bytes);
  file.put<std::uint64_t>(at + 40, memory_bytes);
}

constexpr std::uint64_t kVirtual = 0xffff'8000'0000'0000;

File elf(std::uint64_t physical = kRamBase.value()) {
  File file(0x3000);
  file.put<std::uint32_t>(0, 0x464c'457f).put<std::uint8_t>(4, 2).put<std::uint8_t>(5, 1).put<std::uint8_t>(6, 1);
  file.put<std::uint16_t>(16, 2).put<std::uint16_t>(18, 183).put<std::uint32_t>(20, 1);
  file.put<std::uint64_t>(24, kVirtual + 0x100).put<std::uint64_t>(32, 64);
  file.put<std::uint16_t>(54, 56).put<std::uint16_t>(56, 2);
  put_segment(file, kFirstSegment, 0x1000, kVirtual, physical, 0x1000, 0x1000);
  put_segment(file, kSecondSegment, 0x2000, kVirtual + 0x1000, physical + 0x1000, 0x800, 0x9000);
  file.put<std::uint32_t>(0x1000, 0xaaaa'0001).put<std::uint32_t>(0x27fc, 0xaaaa'0002);
  return file;
}

TEST(LinuxImage, header_says_where_it_goes) {
  const auto kernel = linux_image().inspect();
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  EXPECT_EQ(kernel->format, KernelFormat::Image);
  EXPECT_EQ(kernel->entry, Gpa(0x4008'0000));
  EXPECT_EQ(kernel->occupied, (AddressRange{Gpa(0x4008'0000), 0x20'0000}));
}

TEST(LinuxImage, load_copies_the_file_to_its_place) {
  const File file = linux_image();
  const GuestMemory memory = make_memory();
  ASSERT_TRUE(load_kernel(*file.inspect(), file.source(), memory).has_value());
  EXPECT_EQ(memory.read<std::uint32_t>(Gpa(0x4008'0000 + 56)), 0x644d'5241u);
  EXPECT_EQ(memory.read<std::uint32_t>(Gpa(0x4008'0000 + 4092)), 0x1234'5678u);
  EXPECT_EQ(memory.read<std::uint32_t>(Gpa(0x4008'0000 + 4096)), 0u);
}

TEST(LinuxImage, size_zero_means_an_old_kernel_at_the_old_offset) {
  const auto kernel = linux_image().put<std::uint64_t>(16, 0).put<std::uint64_t>(8, 77).inspect();
  ASSERT_TRUE(kernel.has_value());
  EXPECT_EQ(kernel->occupied, (AddressRange{Gpa(0x4008'0000), 4096}));
}

TEST(LinuxImage, failed_check_is_named) {
  EXPECT_THAT(linux_image().put<std::uint32_t>(56, 1).refusal(KernelFormat::Image),
              HasSubstr("magic (offset 56) is 0x1, expected 0x644d5241"));
  EXPECT_THAT(linux_image().put<std::uint64_t>(16, 4095).refusal(), HasSubstr("image_size (offset 16) is 0xfff, less"));
  EXPECT_THAT(linux_image().put<std::uint64_t>(8, 64 * kMiB).refusal(), HasSubstr("text_offset (offset 8) 0x4000000"));
  EXPECT_THAT(linux_image().put<std::uint64_t>(8, UINT64_MAX).refusal(), HasSubstr("reach beyond"));
  EXPECT_THAT(linux_image().put<std::uint64_t>(16, UINT64_MAX).refusal(), HasSubstr("reach beyond"));
  EXPECT_THAT(linux_image().put<std::uint64_t>(16, 64 * kMiB).refusal(), HasSubstr("reach beyond"));
  EXPECT_THAT(File(63).refusal(KernelFormat::Image), HasSubstr("the file has 63 bytes, the header alone has 64"));
}

TEST(LinuxImage, image_may_end_where_memory_does) {
  EXPECT_EQ(linux_image().put<std::uint64_t>(16, 64 * kMiB - 0x8'0000).refusal(), "accepted");
  EXPECT_NE(linux_image().put<std::uint64_t>(16, 64 * kMiB - 0x8'0000 + 1).refusal(), "accepted");
}

TEST(Elf, segments_go_to_their_physical_addresses) {
  const File file = elf();
  const auto kernel = file.inspect();
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  EXPECT_EQ(kernel->format, KernelFormat::Elf);
  EXPECT_EQ(kernel->entry, Gpa(0x4000'0100));
  EXPECT_EQ(kernel->occupied, (AddressRange{Gpa(0x4000'0000), 0xa000}));
  const GuestMemory memory = make_memory();
  ASSERT_TRUE(load_kernel(*kernel, file.source(), memory).has_value());
  EXPECT_EQ(memory.read<std::uint32_t>(Gpa(0x4000'0000)), 0xaaaa'0001u);
  EXPECT_EQ(memory.read<std::uint32_t>(Gpa(0x4000'17fc)), 0xaaaa'0002u);
  EXPECT_EQ(memory.read<std::uint32_t>(Gpa(0x4000'1800)), 0u);
}

TEST(Elf, executable_below_memory_is_moved_into_it) {
  const auto kernel = elf(0).inspect();
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  EXPECT_EQ(kernel->entry, Gpa(0x4000'0100));
  EXPECT_EQ(kernel->occupied.base, Gpa(0x4000'0000));
}

TEST(Elf, failed_header_check_is_named) {
  EXPECT_THAT(elf().put<std::uint8_t>(4, 1).refusal(), HasSubstr("EI_CLASS is 1, expected 2 (64-bit)"));
  EXPECT_THAT(elf().put<std::uint8_t>(5, 2).refusal(), HasSubstr("EI_DATA is 2, expected 1 (little-endian)"));
  EXPECT_THAT(elf().put<std::uint16_t>(18, 62).refusal(), HasSubstr("e_machine is 62, expected 183 (AArch64)"));
  EXPECT_THAT(elf().put<std::uint16_t>(16, 1).refusal(), HasSubstr("e_type is 1"));
  EXPECT_THAT(elf().put<std::uint16_t>(54, 32).refusal(), HasSubstr("e_phentsize is 32"));
  EXPECT_THAT(elf().put<std::uint16_t>(56, 0).refusal(), HasSubstr("e_phnum is 0"));
  EXPECT_THAT(elf().put<std::uint16_t>(56, 65).refusal(), HasSubstr("e_phnum is 65, allowed: 1 to 64"));
  EXPECT_THAT(elf().put<std::uint64_t>(32, 0x3000).refusal(), HasSubstr("e_phoff is 0x3000"));
  EXPECT_THAT(elf().put<std::uint64_t>(32, UINT64_MAX).refusal(), HasSubstr("e_phoff is"));
  EXPECT_THAT(elf().put<std::uint64_t>(24, kVirtual + 0xa000).refusal(), HasSubstr("e_entry is"));
  EXPECT_THAT(elf().put<std::uint64_t>(24, kVirtual - 1).refusal(), HasSubstr("which lies in no segment"));
  EXPECT_THAT(File(10).put<std::uint32_t>(0, 0x464c'457f).refusal(), HasSubstr("the file has 10 bytes"));
}

TEST(Elf, hostile_segments_are_refused) {
  const auto with_segment = [](std::uint64_t offset, std::uint64_t physical, std::uint64_t file_bytes,
                               std::uint64_t memory_bytes) {
    File file = elf();
    put_segment(file, kSecondSegment, offset, kVirtual + 0x1000, physical, file_bytes, memory_bytes);
    return file.refusal();
  };
  constexpr std::uint64_t kFree = 0x4000'1000;
  EXPECT_EQ(with_segment(0x2000, kFree, 0x1000, 0x1000), "accepted");
  EXPECT_THAT(with_segment(0x2000, kFree, 0x1001, 0x2000), HasSubstr("p_offset 0x2000 and p_filesz 0x1001"));
  EXPECT_THAT(with_segment(UINT64_MAX, kFree, 2, 2), HasSubstr("do not lie in the file"));
  EXPECT_THAT(with_segment(0x2000, kFree, 0x10, 0xf), HasSubstr("p_filesz 0x10 is more than p_memsz 0xf"));
  EXPECT_THAT(with_segment(0x2000, UINT64_MAX, 2, 2), HasSubstr("beyond any machine's memory"));
  EXPECT_THAT(with_segment(0x2000, kFree, 0, UINT64_MAX - 1), HasSubstr("beyond any machine's memory"));
  EXPECT_THAT(with_segment(0x2000, 0x4000'0fff, 0, 1), HasSubstr("overlaps another one"));
  EXPECT_THAT(with_segment(0x2000, 0x4400'0000, 0, 1), HasSubstr("do not lie in the guest's memory"));
  EXPECT_THAT(with_segment(0x2000, 0, 0, 1), HasSubstr("do not lie in the guest's memory"));
}

TEST(Elf, without_a_segment_is_refused) {
  EXPECT_THAT(elf().put<std::uint32_t>(kFirstSegment, 6).put<std::uint32_t>(kSecondSegment, 6).refusal(),
              HasSubstr("no segment to load"));
}

TEST(Flat, file_goes_to_the_flat_offset) {
  const auto kernel = File(4096).inspect(KernelFormat::Flat);
  ASSERT_TRUE(kernel.has_value());
  EXPECT_EQ(kernel->entry, Gpa(0x4008'0000));
  EXPECT_EQ(kernel->occupied, (AddressRange{Gpa(0x4008'0000), 4096}));
}

TEST(Flat, empty_or_too_large_is_refused) {
  EXPECT_THAT(File(0).refusal(KernelFormat::Flat), HasSubstr("the file is empty"));
  const std::vector<std::byte> bytes(64 * kMiB);
  const auto refused = inspect_kernel(MemoryImage("big", bytes), KernelFormat::Flat, kRam);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("0x4000000 bytes at 0x40080000 do not lie in the guest's memory"));
}

TEST(KernelFormat, unknown_file_is_refused_with_a_guess) {
  EXPECT_THAT(File(64).refusal(), HasSubstr("neither an ELF file"));
  EXPECT_THAT(File(0).refusal(), HasSubstr("neither an ELF file"));
  EXPECT_THAT(File(64).put<std::uint16_t>(0, 0x8b1f).refusal(), HasSubstr("compressed by gzip"));
  EXPECT_THAT(File(64).put<std::uint16_t>(0, 0x5a4d).put<std::uint32_t>(4, 0x676d'697a).refusal(), HasSubstr("zboot"));
}

TEST(KernelFormat, names_are_read_and_written) {
  for (const char* name : {"auto", "image", "elf", "flat"}) EXPECT_STREQ(name_of(*kernel_format_from(name)), name);
  EXPECT_FALSE(kernel_format_from("raw").has_value());
}

TEST(ImageSource, file_is_read_within_its_bounds) {
  const std::string path = ::testing::TempDir() + "/kernel";
  std::ofstream(path, std::ios::binary) << "0123456789";
  const auto source = open_image(path);
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ((*source)->size_bytes(), 10u);
  std::array<std::byte, 4> part{};
  ASSERT_TRUE((*source)->read(6, part).has_value());
  EXPECT_EQ(part[3], std::byte{'9'});
  EXPECT_FALSE((*source)->read(7, part).has_value());
  EXPECT_FALSE((*source)->read(UINT64_MAX, part).has_value());
  ASSERT_EQ(::truncate(path.c_str(), 8), 0);
  EXPECT_THAT((*source)->read(6, part).error().message, HasSubstr("become shorter"));
  std::remove(path.c_str());
}

TEST(ImageSource, only_regular_files_are_opened) {
  EXPECT_THAT(open_image("/dev/null").error().message, HasSubstr("not a regular file"));
  EXPECT_THAT(open_image("/nonexistent").error().message, HasSubstr("cannot open /nonexistent"));
}

TEST(BootLayout, parts_follow_the_middle_of_small_memory) {
  const auto layout = place_boot_files(kRam, {Gpa(0x4000'0000), kMiB}, 100, 5000);
  ASSERT_TRUE(layout.has_value());
  EXPECT_EQ(layout->initrd, (AddressRange{Gpa(0x4200'0000), 100}));
  EXPECT_EQ(layout->device_tree, (AddressRange{Gpa(0x4201'0000), 5000}));
}

TEST(BootLayout, large_memory_is_used_from_128_mib_on) {
  const auto layout = place_boot_files({kRamBase, 1024 * kMiB}, {Gpa(0x4000'0000), kMiB}, std::nullopt, 5000);
  ASSERT_TRUE(layout.has_value());
  EXPECT_FALSE(layout->initrd.has_value());
  EXPECT_EQ(layout->device_tree.base, Gpa(0x4800'0000));
}

TEST(BootLayout, kernel_that_reaches_far_comes_first) {
  const auto layout = place_boot_files(kRam, {Gpa(0x4000'0000), 40 * kMiB + 1}, 100, 5000);
  ASSERT_TRUE(layout.has_value());
  EXPECT_EQ(layout->initrd->base, Gpa(0x4281'0000));
}

TEST(BootLayout, what_does_not_fit_is_named) {
  const AddressRange kernel{Gpa(0x4000'0000), kMiB};
  EXPECT_TRUE(place_boot_files(kRam, kernel, 31 * kMiB, 4096).has_value());
  EXPECT_THAT(place_boot_files(kRam, kernel, 32 * kMiB + 1, 4096).error().message, HasSubstr("the initrd of"));
  EXPECT_THAT(place_boot_files(kRam, kernel, UINT64_MAX, 4096).error().message, HasSubstr("the initrd of"));
  EXPECT_THAT(place_boot_files(kRam, kernel, 32 * kMiB, 4096).error().message, HasSubstr("the device tree of"));
  EXPECT_THAT(place_boot_files(kRam, {kRamBase, 64 * kMiB}, std::nullopt, 1).error().message,
              HasSubstr("the device tree of"));
}

}  // namespace
}  // namespace vmm::board
