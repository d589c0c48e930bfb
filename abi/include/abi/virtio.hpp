// VIRTIO 1.2 ("Virtual I/O Device (VIRTIO) Version 1.2", OASIS): what driver and device both need of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "abi/endian.hpp"

namespace abi::virtio {

/// VIRTIO 1.2, Device Types.
enum class DeviceId : std::uint32_t {
  Invalid = 0,
  Vsock = 19,
  Fs = 26,
  Npu = 65535,  ///< experimental; docs/npu.md
};

/// VIRTIO 1.2, Reserved Feature Bits (numbers of bits).
namespace feature {
inline constexpr unsigned kRingIndirectDesc = 28;
inline constexpr unsigned kRingEventIdx = 29;
inline constexpr unsigned kVersion1 = 32;
constexpr std::uint64_t bit(unsigned number) { return std::uint64_t{1} << number; }
}  // namespace feature

/// VIRTIO 1.2, Device Status Field.
namespace status {
inline constexpr std::uint32_t kAcknowledge = 1;
inline constexpr std::uint32_t kDriver = 2;
inline constexpr std::uint32_t kDriverOk = 4;
inline constexpr std::uint32_t kFeaturesOk = 8;
inline constexpr std::uint32_t kDeviceNeedsReset = 64;
inline constexpr std::uint32_t kFailed = 128;
}  // namespace status

/// VIRTIO 1.2, MMIO Device Register Layout. Offsets in bytes; registers are 32 bits wide.
namespace mmio {
inline constexpr std::uint32_t kMagicValue = 0x74726976;  // "virt"
inline constexpr std::uint32_t kVersion = 2;
enum Register : std::uint32_t {
  MagicValue = 0x000,         // ro
  Version = 0x004,            // ro
  DeviceId = 0x008,           // ro
  VendorId = 0x00c,           // ro
  DeviceFeatures = 0x010,     // ro
  DeviceFeaturesSel = 0x014,  // wo
  DriverFeatures = 0x020,     // wo
  DriverFeaturesSel = 0x024,  // wo
  QueueSel = 0x030,           // wo
  QueueNumMax = 0x034,        // ro
  QueueNum = 0x038,           // wo
  QueueReady = 0x044,         // rw
  QueueNotify = 0x050,        // wo
  InterruptStatus = 0x060,    // ro
  InterruptAck = 0x064,       // wo
  Status = 0x070,             // rw
  QueueDescLow = 0x080,       // wo
  QueueDescHigh = 0x084,      // wo
  QueueDriverLow = 0x090,     // wo
  QueueDriverHigh = 0x094,    // wo
  QueueDeviceLow = 0x0a0,     // wo
  QueueDeviceHigh = 0x0a4,    // wo
  SHMSel = 0x0ac,             // wo
  SHMLenLow = 0x0b0,          // ro
  SHMLenHigh = 0x0b4,         // ro
  SHMBaseLow = 0x0b8,         // ro
  SHMBaseHigh = 0x0bc,        // ro
  QueueReset = 0x0c0,         // rw, with VIRTIO_F_RING_RESET
  ConfigGeneration = 0x0fc,   // ro
  Config = 0x100,             // rw
};
inline constexpr std::uint32_t kInterruptVring = 1;
inline constexpr std::uint32_t kInterruptConfig = 2;
}  // namespace mmio

/// VIRTIO 1.2, Split Virtqueues, The Virtqueue Descriptor Table.
struct Descriptor {
  Le64 addr;  ///< guest-physical
  Le32 len;   ///< bytes
  Le16 flags;
  Le16 next;
};
static_assert(sizeof(Descriptor) == 16 && offsetof(Descriptor, flags) == 12 && std::is_standard_layout_v<Descriptor>);
inline constexpr std::uint16_t kDescNext = 1;
inline constexpr std::uint16_t kDescWrite = 2;
inline constexpr std::uint16_t kDescIndirect = 4;

/// The Virtqueue Available Ring is {Le16 flags, idx, ring[size], used_event}.
inline constexpr std::size_t kAvailFlags = 0;
inline constexpr std::size_t kAvailIdx = 2;
inline constexpr std::size_t kAvailRing = 4;
inline constexpr std::uint16_t kAvailNoInterrupt = 1;

struct UsedElement {
  Le32 id;   ///< head of the chain
  Le32 len;  ///< bytes written to it
};
static_assert(sizeof(UsedElement) == 8 && std::is_standard_layout_v<UsedElement>);

/// The Virtqueue Used Ring is {Le16 flags, idx, UsedElement ring[size], Le16 avail_event}.
inline constexpr std::size_t kUsedFlags = 0;
inline constexpr std::size_t kUsedIdx = 2;
inline constexpr std::size_t kUsedRing = 4;
inline constexpr std::uint16_t kUsedNoNotify = 1;

inline constexpr std::uint32_t kMaxQueueSize = 32768;
constexpr std::size_t descriptor_table_bytes(std::size_t size) { return 16 * size; }
constexpr std::size_t avail_ring_bytes(std::size_t size) { return 6 + 2 * size; }
constexpr std::size_t used_ring_bytes(std::size_t size) { return 6 + 8 * size; }

/// VIRTIO 1.2, Used Buffer Notification Suppression: must the other side be told, given that the index
/// moved from `old_idx` to `new_idx` and it asked to hear of `event`? Indices wrap on purpose.
constexpr bool need_event(std::uint16_t event, std::uint16_t new_idx, std::uint16_t old_idx) {
  return static_cast<std::uint16_t>(new_idx - event - 1) < static_cast<std::uint16_t>(new_idx - old_idx);
}

}  // namespace abi::virtio
