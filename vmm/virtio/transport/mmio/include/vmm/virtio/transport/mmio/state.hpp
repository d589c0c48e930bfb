// What a snapshot keeps of an mmio transport: the register file, as plain values.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace vmm::virtio {

/// More queues than any device of ours has.
inline constexpr std::size_t kMaxMmioQueues = 16;

/// One queue as the driver set it up. Zero after a reset.
struct MmioQueueState {
  std::uint64_t descriptors = 0;  ///< guest-physical; QueueDescLow, QueueDescHigh
  std::uint64_t available = 0;    ///< QueueDriverLow, QueueDriverHigh
  std::uint64_t used = 0;         ///< QueueDeviceLow, QueueDeviceHigh
  std::uint32_t size = 0;         ///< QueueNum, unchecked
  std::uint16_t next_index = 0;   ///< where the device goes on in the available ring; valid while it does not run
  std::uint16_t ready = 0;        ///< QueueReady, 0 or 1
};
static_assert(sizeof(MmioQueueState) == 32 && std::has_unique_object_representations_v<MmioQueueState>);

/// Everything that the transport knows and the device does not. Copied as it is into a snapshot, in host byte order.
struct MmioTransportState {
  std::uint32_t device_id = 0;  ///< which device this belongs to
  std::uint32_t queue_count = 0;
  std::uint64_t driver_features = 0;
  std::uint32_t status = 0;  ///< abi::virtio::status
  std::uint32_t interrupt_status = 0;
  std::uint32_t device_features_sel = 0;
  std::uint32_t driver_features_sel = 0;
  std::uint32_t queue_sel = 0;
  std::uint32_t config_generation = 0;
  std::uint32_t unknown_features = 0;                   ///< 1: the driver accepted bits beyond 63
  std::uint32_t engaged = 0;                            ///< 1: there was DRIVER_OK, so the device must hear of a reset
  std::array<MmioQueueState, kMaxMmioQueues> queues{};  ///< [queue_count]
};
static_assert(std::has_unique_object_representations_v<MmioTransportState>, "padding would leak into a snapshot");

}  // namespace vmm::virtio
