// The arm64 `Image` format (Linux, Documentation/arch/arm64/booting.rst, "Call the kernel image").
#pragma once

#include <cstddef>
#include <span>

#include "vmm/machine/board/kernel_image.hpp"

namespace vmm::board {

inline constexpr std::size_t kLinuxHeaderBytes = 64;

/// Whether the magic number is there. @param head the first bytes of the file
bool is_linux_image(std::span<const std::byte> head);

Result<KernelImage> inspect_linux_image(const ImageSource& source, AddressRange ram);

}  // namespace vmm::board
