// The device tree that tells a guest what the machine has (Devicetree Specification 0.4; bindings as Linux documents
// them in Documentation/devicetree/bindings).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/machine/board/address_map.hpp"

namespace vmm::board {

enum class GicVersion : std::uint8_t { V2 = 2, V3 = 3 };

/// What the tree describes.
struct DeviceTreeConfig {
  AddressRange ram;
  GicVersion gic = GicVersion::V3;
  /// Affinity fields of each CPU's MPIDR_EL1, the boot CPU first; not empty.
  std::vector<std::uint64_t> cpu_affinities;
  bool pmu = false;
  /// Slots that hold a device; a slot without one is not in the tree.
  std::vector<unsigned> virtio_slots;
  std::string boot_arguments;
  std::optional<AddressRange> initrd;
  /// For the guest's random number generator: 8 bytes for the layout of its address space, the rest as a seed. Left
  /// out if it has fewer than 40 bytes.
  std::span<const std::byte> seed;
};

/// The largest tree that is written: what arm64 Linux maps (Documentation/arch/arm64/booting.rst, "Setup the device
/// tree").
inline constexpr std::size_t kMaxDeviceTreeBytes = std::size_t{2} * 1024 * 1024;

/// The flattened tree.
/// @return an error if there is no CPU or the tree is larger than kMaxDeviceTreeBytes
Result<std::vector<std::byte>> write_device_tree(const DeviceTreeConfig& config);

}  // namespace vmm::board
