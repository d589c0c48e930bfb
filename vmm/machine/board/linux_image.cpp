#include "linux_image.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "abi/endian.hpp"
#include "kernel_error.hpp"

namespace vmm::board {
namespace {

using abi::Le32;
using abi::Le64;

constexpr std::uint32_t kMagic = 0x644d'5241;  // "ARM\x64"
constexpr std::size_t kMagicOffset = 56;
constexpr std::uint64_t kBaseAlignment = 2 * 1024 * 1024;
/// What an image from before Linux 3.17 means, which says image_size 0.
constexpr std::uint64_t kOldTextOffset = 0x8'0000;

struct Header {
  Le32 code0;
  Le32 code1;
  Le64 text_offset;
  Le64 image_size;
  Le64 flags;
  Le64 reserved[3];
  Le32 magic;
  Le32 pe_header_offset;
};
static_assert(sizeof(Header) == kLinuxHeaderBytes && offsetof(Header, magic) == kMagicOffset);

}  // namespace

bool is_linux_image(std::span<const std::byte> head) {
  Le32 magic;
  if (head.size() < kMagicOffset + sizeof magic) return false;
  std::memcpy(&magic, head.data() + kMagicOffset, sizeof magic);
  return magic == kMagic;
}

Result<KernelImage> inspect_linux_image(const ImageSource& source, AddressRange ram) {
  const auto bad = [&source](const std::string& why) { return bad_kernel(source, "arm64 Image header: " + why); };
  if (source.size_bytes() < kLinuxHeaderBytes) {
    return bad("the file has " + std::to_string(source.size_bytes()) + " bytes, the header alone has 64");
  }
  std::array<std::byte, kLinuxHeaderBytes> bytes{};
  if (auto read = source.read(0, bytes); !read) return std::unexpected(read.error());
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic) {
    return bad("magic (offset 56) is " + hex(header.magic) + ", expected " + hex(kMagic) + " (\"ARM\\x64\")");
  }
  std::uint64_t text_offset = header.text_offset;
  std::uint64_t size = header.image_size;
  if (size == 0) {
    text_offset = kOldTextOffset;
    size = source.size_bytes();
  } else if (size < source.size_bytes()) {
    return bad("image_size (offset 16) is " + hex(size) + ", less than the file's " + hex(source.size_bytes()) +
               " bytes");
  }
  if (text_offset >= ram.size_bytes || size > ram.size_bytes - text_offset) {
    return bad("text_offset (offset 8) " + hex(text_offset) + " and image_size (offset 16) " + hex(size) +
               " reach beyond the guest's memory of " + hex(ram.size_bytes) + " bytes");
  }
  // RAM begins at a multiple of 2 MiB, which satisfies flags bit 3 either way: anywhere, or near the start of RAM.
  static_assert(kRamBase.value() % kBaseAlignment == 0);
  const AddressRange memory{Gpa(ram.base.value() + text_offset), size};
  return KernelImage{.format = KernelFormat::Image,
                     .entry = memory.base,
                     .occupied = memory,
                     .segments = {{.file_offset = 0, .file_bytes = source.size_bytes(), .memory = memory}}};
}

}  // namespace vmm::board
