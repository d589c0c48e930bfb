// What a guest's kernel file is, and where in memory it wants to be. Files are hostile: every number in one is checked
// against the file's size and the machine's memory before it is used.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/machine/board/address_map.hpp"
#include "vmm/machine/board/image_source.hpp"

namespace vmm::board {

enum class KernelFormat : std::uint8_t {
  Auto,   ///< Image or Elf, whichever the file's first bytes say
  Image,  ///< Linux, Documentation/arch/arm64/booting.rst
  Elf,    ///< ELF64, AArch64, loaded at its physical addresses
  Flat,   ///< as it is, kFlatOffset from the start of RAM, entered at its first byte
};

/// Where raw files go: QEMU's `virt` loads them there.
inline constexpr std::uint64_t kFlatOffset = 0x8'0000;

/// "auto", "image", "elf" or "flat"; nothing for another name.
std::optional<KernelFormat> kernel_format_from(std::string_view name);
const char* name_of(KernelFormat format);

/// A part of the file and its place. Memory behind file_bytes is zero: guest memory is fresh when a machine starts.
struct KernelSegment {
  std::uint64_t file_offset = 0;
  std::uint64_t file_bytes = 0;
  AddressRange memory;  ///< at least file_bytes, in RAM
};

/// A kernel whose file has been examined. Invariant: every segment lies in its file and in RAM, none overlaps another.
struct KernelImage {
  KernelFormat format = KernelFormat::Flat;  ///< not Auto
  Gpa entry;                                 ///< in a segment; the device tree's address goes into x0
  AddressRange occupied;                     ///< all segments, and what lies between them
  std::vector<KernelSegment> segments;
};

/// Examines a kernel without loading it.
/// Errors (ExitCode::Usage) name the file, the field that is wrong, its value, and what is allowed.
Result<KernelImage> inspect_kernel(const ImageSource& source, KernelFormat format, AddressRange ram);

/// Copies its segments into guest memory.
Result<> load_kernel(const KernelImage& kernel, const ImageSource& source, const GuestMemory& memory);

}  // namespace vmm::board
