// ELF64 executables for AArch64 (System V ABI, "Object Files"; ELF for the Arm 64-bit Architecture).
#pragma once

#include <cstddef>
#include <span>

#include "vmm/machine/board/kernel_image.hpp"

namespace vmm::board {

/// Whether the magic number is there. @param head the first bytes of the file
bool is_elf(std::span<const std::byte> head);

/// An executable all of which lies below RAM is taken as one that may lie anywhere: its addresses count from the start
/// of RAM.
Result<KernelImage> inspect_elf(const ImageSource& source, AddressRange ram);

}  // namespace vmm::board
