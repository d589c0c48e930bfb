// What every virtio device is to a transport, and a transport to a device.
//
//                         activate()                      reset()
//     Inactive -----------------------------> Active ----------------> Inactive
//        ^                                    |    ^
//        |                        deactivate()|    | activate()
//        |              reset()               v    |
//        +-------------------------------- Suspended
//
// The transport owns status, feature selection and queue set-up; the device owns its configuration space and what the
// requests mean. The driver's "device reset" is reset() in every state. Suspending (the machine is paused, or the front
// end hands the queues over) takes the queues away but keeps what the device knows, such as open connections: to go on
// with the same driver it is activated again with queues that continue where they were. A transport that finds a new
// driver instead calls reset() first.
//
// Thread: everything here runs on the thread of the device's event loop. The mmio transport, whose registers are
// accessed by virtual CPUs, posts to it; kicks reach it through a notifier for each queue (ioeventfd, vhost-user kick)
// and interrupts leave through one for each queue (irqfd, vhost-user call).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "abi/virtio.hpp"
#include "vmm/base/result.hpp"
#include "vmm/virtio/virtqueue.hpp"

namespace vmm::virtio {

/// How a device reaches its driver. Implemented by transports.
class Interrupt {
 public:
  virtual ~Interrupt() = default;
  /// The used ring of a queue has something new that the driver wants to hear of.
  virtual void signal_queue(std::uint16_t index) = 0;
  /// The configuration space changed.
  virtual void signal_config() = 0;
  /// The driver violated the protocol. The transport reports DEVICE_NEEDS_RESET (or what it has for that); the device
  /// ignores its queues until reset().
  virtual void needs_reset(std::uint16_t queue, const std::string& reason) = 0;
};

/// What a device gets when its driver is ready.
struct Activation {
  std::uint64_t features = 0;      ///< negotiated: a subset of VirtioDevice::features()
  std::vector<Virtqueue> queues;   ///< by index; at least the device's required_queues()
  Interrupt* interrupt = nullptr;  ///< valid until deactivate() or reset()
};

class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;

  [[nodiscard]] virtual abi::virtio::DeviceId id() const = 0;
  /// Feature bits offered, the ring's included.
  [[nodiscard]] virtual std::uint64_t features() const = 0;
  /// Largest size of each queue; one entry for each queue of the device.
  [[nodiscard]] virtual std::span<const std::uint16_t> queue_sizes() const = 0;
  /// How many of the first queues must be there to be activated; a front end may keep the others to itself.
  [[nodiscard]] virtual std::uint16_t required_queues() const = 0;

  /// The configuration space as the driver reads it, little-endian; its size is fixed.
  [[nodiscard]] virtual std::vector<std::byte> config() const = 0;
  /// A driver's write to [offset, offset + bytes.size()), which lies in the configuration space.
  virtual void write_config(std::uint32_t offset, std::span<const std::byte> bytes) = 0;

  /// Starts to serve; also serves what is in the queues already, because its kick may have come earlier.
  virtual Result<> activate(Activation activation) = 0;
  /// Takes the queues away. Nothing is in flight in them but what the device pushes to those of the next activate()
  /// (Virtqueue::carry_over()); until then it touches no guest memory. Empty if the device was not active.
  virtual std::vector<Virtqueue> deactivate() = 0;
  /// Back to the state before any driver. Ends active and suspended states.
  virtual void reset() = 0;

  /// The driver kicked queue `index`. Spurious calls are allowed, also while inactive.
  virtual void queue_kicked(std::uint16_t index) = 0;
  /// Guest memory is mapped anew while active: every queue moves. Fails if a queue is not in it any more.
  virtual Result<> memory_changed(const std::shared_ptr<const GuestMemory>& memory) = 0;
};

}  // namespace vmm::virtio
