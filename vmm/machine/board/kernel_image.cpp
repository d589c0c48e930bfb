#include "vmm/machine/board/kernel_image.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "elf_image.hpp"
#include "kernel_error.hpp"
#include "linux_image.hpp"

namespace vmm::board {
namespace {

constexpr std::pair<const char*, KernelFormat> kFormats[] = {{"auto", KernelFormat::Auto},
                                                             {"image", KernelFormat::Image},
                                                             {"elf", KernelFormat::Elf},
                                                             {"flat", KernelFormat::Flat}};

Result<KernelImage> inspect_flat(const ImageSource& source, AddressRange ram) {
  const AddressRange memory{Gpa(ram.base.value() + kFlatOffset), source.size_bytes()};
  if (source.size_bytes() == 0) return bad_kernel(source, "the file is empty");
  if (!ram.contains(memory)) return does_not_fit(source, memory, ram);
  return KernelImage{.format = KernelFormat::Flat,
                     .entry = memory.base,
                     .occupied = memory,
                     .segments = {{.file_offset = 0, .file_bytes = source.size_bytes(), .memory = memory}}};
}

/// What else the file is, for a message; empty if nobody knows.
std::string guess(std::span<const std::byte> head) {
  const auto starts = [head](std::string_view magic, std::size_t at = 0) {
    return head.size() >= at + magic.size() && std::memcmp(head.data() + at, magic.data(), magic.size()) == 0;
  };
  if (starts("\x1f\x8b")) return "; it is compressed by gzip: decompress it first";
  if (starts("\x28\xb5\x2f\xfd")) return "; it is compressed by zstd: decompress it first";
  if (starts("MZ") && starts("zimg", 4)) return "; it is a compressed EFI image (zboot): extract the Image first";
  return {};
}

Result<KernelFormat> recognise(const ImageSource& source) {
  std::array<std::byte, kLinuxHeaderBytes> buffer{};
  const std::size_t known = std::min<std::uint64_t>(source.size_bytes(), buffer.size());
  const auto head = std::span(buffer).first(known);
  if (auto read = source.read(0, head); !read) return std::unexpected(read.error());
  if (is_elf(head)) return KernelFormat::Elf;
  if (is_linux_image(head)) return KernelFormat::Image;
  return bad_kernel(source,
                    "neither an ELF file (no \"\\x7f"
                    "ELF\" at its start) nor an arm64 Image (no \"ARM\\x64\" at offset 56)" +
                        guess(head) + "; `--format flat` loads it as it is");
}

}  // namespace

std::optional<KernelFormat> kernel_format_from(std::string_view name) {
  for (const auto& [text, format] : kFormats) {
    if (name == text) return format;
  }
  return std::nullopt;
}

const char* name_of(KernelFormat format) {
  return std::ranges::find(kFormats, format, &std::pair<const char*, KernelFormat>::second)->first;
}

Result<KernelImage> inspect_kernel(const ImageSource& source, KernelFormat format, AddressRange ram) {
  if (format == KernelFormat::Auto) {
    const auto recognised = recognise(source);
    if (!recognised) return std::unexpected(recognised.error());
    format = *recognised;
  }
  if (format == KernelFormat::Elf) return inspect_elf(source, ram);
  if (format == KernelFormat::Image) return inspect_linux_image(source, ram);
  return inspect_flat(source, ram);
}

Result<> load_kernel(const KernelImage& kernel, const ImageSource& source, const GuestMemory& memory) {
  for (const KernelSegment& segment : kernel.segments) {
    const auto to = memory.slice(segment.memory.base, segment.file_bytes);
    if (!to) return bad_kernel(source, to.error().message());
    if (auto read = source.read(segment.file_offset, to->io()); !read) return read;
  }
  return {};
}

}  // namespace vmm::board
