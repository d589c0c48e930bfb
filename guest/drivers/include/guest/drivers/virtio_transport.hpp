// What a virtio driver needs of the bus its device sits on. VirtioMmio implements it; drivers never include that.
//
//   negotiate() -> read_config() -> activate_queue()... -> set_driver_ok() -> notify()/acknowledge_interrupt()
//       ^                                                        |
//       +------------------------- reset() <--------------------+
//
// Source: VIRTIO 1.2, General Initialization And Device Operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/virtio.hpp"
#include "guest/kernel/physical_memory.hpp"
#include "guest/kernel/status.hpp"

namespace guest::drivers {

/// The three areas of a split virtqueue.
struct QueueAddresses {
  std::uint16_t size = 0;  ///< entries, a power of two
  kernel::PhysAddr descriptors{};
  kernel::PhysAddr driver_area{};  ///< available ring
  kernel::PhysAddr device_area{};  ///< used ring
};

/// From the main loop, but for acknowledge_interrupt().
class VirtioTransport {
 public:
  /// Resets the device and agrees on features: those of `wanted` that the device offers, and VIRTIO_F_VERSION_1.
  /// Unsupported: the device does not offer version 1 or does not accept the choice. TimedOut: it does not reset.
  [[nodiscard]] virtual kernel::Result<std::uint64_t> negotiate(std::uint64_t wanted) = 0;
  /// Largest size of queue `index` in entries; 0: there is no such queue.
  [[nodiscard]] virtual std::uint32_t max_queue_size(std::uint16_t index) = 0;
  /// Tells the device where queue `index` lies. NotFound: no such queue. OutOfRange: larger than it allows. Busy: in
  /// use.
  virtual kernel::Status activate_queue(std::uint16_t index, const QueueAddresses& queue) = 0;
  /// The driver is ready. DeviceFailed: the device wants a reset already.
  virtual kernel::Status set_driver_ok() = 0;
  /// Gives up: the device is told that the driver failed.
  virtual void set_failed() = 0;
  /// The device forgets everything and touches no memory any more. TimedOut: it did not confirm.
  virtual kernel::Status reset() = 0;
  /// DEVICE_NEEDS_RESET is set.
  [[nodiscard]] virtual bool needs_reset() = 0;
  /// New buffers are in queue `index`. The caller has ordered its writes (Virtqueue::take_notification() does).
  virtual void notify(std::uint16_t index) = 0;
  /// Reads and clears the interrupt's causes: abi::virtio::mmio::kInterruptVring, kInterruptConfig. In the interrupt.
  virtual std::uint32_t acknowledge_interrupt() = 0;
  /// Reads configuration from `offset`, all of it from one generation. Busy: it kept changing.
  virtual kernel::Status read_config(std::uint32_t offset, std::span<std::byte> out) = 0;

 protected:
  ~VirtioTransport() = default;
};

}  // namespace guest::drivers
