// Where initrd and device tree go, given where the kernel is.
#pragma once

#include <cstdint>
#include <optional>

#include "vmm/base/result.hpp"
#include "vmm/machine/board/address_map.hpp"

namespace vmm::board {

/// What a machine's memory holds when it starts; no part overlaps another.
struct BootLayout {
  AddressRange kernel;
  std::optional<AddressRange> initrd;
  AddressRange device_tree;  ///< the room for it, from its first byte on
};

/// Linux wants initrd and kernel within 32 GiB and the tree 8-byte aligned and within 2 MiB (booting.rst); images of
/// others have memory behind their file of which no header tells. So both go where QEMU's `virt` puts them, 128 MiB
/// into RAM or in its middle, whichever is lower, or behind a kernel that reaches further.
/// @param device_tree_bytes at most kMaxDeviceTreeBytes
/// @return an error (ExitCode::Usage) that says what does not fit
Result<BootLayout> place_boot_files(AddressRange ram, AddressRange kernel, std::optional<std::uint64_t> initrd_bytes,
                                    std::uint64_t device_tree_bytes);

}  // namespace vmm::board
