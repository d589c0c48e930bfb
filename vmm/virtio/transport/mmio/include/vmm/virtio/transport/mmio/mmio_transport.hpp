// A virtio device behind a window of registers: VIRTIO 1.2, Virtio Over MMIO, version 2.
//
//   virtual CPU threads                                  the loop's thread
//     read(), write() --- most registers: a mutex ---+
//       |                                            +-- registers (state.hpp)
//       | reset, DRIVER_OK, stopping a queue,        |
//       | configuration space: post() and wait ------+-> VirtioDevice
//       | QueueNotify -> Notifier of the queue --------> queue_kicked()
//                        (or KVM_IOEVENTFD)
//     InterruptStatus (atomic) <-- signal_queue() ------ used buffers
//                                  InterruptLine::set(true), an edge each time
//
// A virtual CPU waits only where the driver may rely on the effect: after a reset no queue may be touched, after
// DRIVER_OK it reads the status back. No lock is held then, and shutdown() ends the wait whatever the loop does.
//
// What a driver does wrong has two outcomes. An access that means nothing where the driver is (a queue register before
// FEATURES_OK, a status bit taken back) is ignored. Queues that cannot be served set DEVICE_NEEDS_RESET and interrupt
// for a change of configuration, as "Device Status Field" asks; only a reset leaves that state. Both call `warning`, a
// bounded number of times.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/notifier.hpp"
#include "vmm/base/result.hpp"
#include "vmm/memory/guest_memory.hpp"
#include "vmm/mmio/device.hpp"
#include "vmm/virtio/device.hpp"
#include "vmm/virtio/transport/mmio/state.hpp"

namespace vmm::virtio {

struct MmioTransportOptions {
  /// Told on the loop's thread what the driver did wrong; at most kMaxWarnings times, the last says so. May be empty.
  std::function<void(const std::string& message)> warning;
};

/// Thread: read(), write(), shutdown(), kick() from any; everything else on the loop's thread, or while it does not
/// run. The loop's thread must not wait for a virtual CPU: that one may be waiting for the loop.
class MmioTransport final : public mmio::Device, private Interrupt {
 public:
  /// Bytes of the window: the registers and 256 bytes of configuration space.
  static constexpr std::uint64_t kWindowBytes = 0x200;
  static constexpr unsigned kMaxWarnings = 64;

  /// @param loop, device, line  outlive the transport. `line` is edge-triggered: set(true) for each interrupt
  /// @param memory              where the queues lie
  /// @return an error if the device has more queues than kMaxMmioQueues, a larger configuration space than the window,
  ///         or there are no descriptors left for its kicks
  static Result<std::unique_ptr<MmioTransport>> create(EventLoop& loop, VirtioDevice& device,
                                                       std::shared_ptr<const GuestMemory> memory,
                                                       mmio::InterruptLine& line, MmioTransportOptions options);
  /// Takes the queues from the device. No virtual CPU may be in read() or write(): shutdown(), then join them.
  ~MmioTransport() override;
  MmioTransport(const MmioTransport&) = delete;
  MmioTransport& operator=(const MmioTransport&) = delete;

  /// An aligned 32-bit access below 0x100, of any size and alignment in the configuration space; others read 0 and
  /// write nothing.
  std::uint64_t read(std::uint64_t offset, unsigned size_bytes) override;
  void write(std::uint64_t offset, unsigned size_bytes, std::uint64_t value) override;

  [[nodiscard]] std::uint16_t queue_count() const { return static_cast<std::uint16_t>(kicks_.size()); }
  /// Signalled by the driver's kick of a queue: give fd() to KVM_IOEVENTFD for a 32-bit write of `queue` to
  /// QueueNotify, offset 0x50. Valid as long as the transport.
  [[nodiscard]] const Notifier& kick(std::uint16_t queue) const { return kicks_[queue]; }

  /// From now on no access waits for the loop: those that do return at once, and writes that would need the device have
  /// no effect. For the end of the machine, before virtual CPUs are joined; does not touch the device.
  void shutdown();

  /// The machine is paused: takes the queues from the device, which finishes what is in flight. Virtual CPUs do not
  /// run. Nothing if it is suspended already.
  void suspend();
  /// Lets the device go on, as after suspend() or restore(), and repeats an interrupt that may have been lost.
  void resume();
  /// A copy of the state. Suspends first if that was not done.
  [[nodiscard]] MmioTransportState save();
  /// Takes a saved state over; only before any driver, at the latest after suspend(). The transport is suspended then.
  /// @return an error that names the field if the state does not belong to such a device; nothing has changed then
  Result<> restore(const MmioTransportState& state);

 private:
  /// What waiting virtual CPUs wait at. Posted work shares it, because it may outlive the transport.
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool closed = false;  ///< by shutdown()
  };
  MmioTransport(EventLoop& loop, VirtioDevice& device, std::shared_ptr<const GuestMemory> memory,
                mmio::InterruptLine& line, MmioTransportOptions options, std::vector<Notifier> kicks);

  // Any thread.
  std::uint32_t read_register(std::uint32_t offset);
  std::uint64_t read_config(std::uint64_t offset, unsigned size_bytes);
  void write_register(std::uint32_t offset, std::uint32_t value);
  void write_config(std::uint64_t offset, unsigned size_bytes, std::uint64_t value);
  [[nodiscard]] const char* write_driver_features(std::uint32_t value);
  [[nodiscard]] const char* write_queue(std::uint32_t offset, std::uint32_t value);
  void write_queue_ready(std::uint32_t value);
  void write_status(std::uint32_t value);
  void on_loop(std::function<void()> work);
  void warn(std::string message);
  void ignored(std::uint64_t offset, std::uint64_t value, const char* why);

  // With mutex_ held. What returns text returns null for "fine", else why not.
  [[nodiscard]] bool status_needs_device(std::uint32_t value) const;
  [[nodiscard]] const char* advance_status(std::uint32_t value);
  [[nodiscard]] const char* refusal_of_features() const;
  [[nodiscard]] const char* refusal_of_queue_write(std::uint32_t queue) const;
  void clear_registers();

  // Loop's thread.
  void apply_status(std::uint32_t value);
  void apply_queue_ready(std::uint32_t queue, bool ready);
  enum class MissingQueue : std::uint8_t { BreaksDriver, Waits };
  void start_device(MissingQueue missing);
  void stop_device();
  void reset_device();
  [[nodiscard]] Result<Virtqueue> make_queue(const MmioTransportState& registers, std::size_t index) const;
  void refresh_config();
  void fail_driver(const std::string& reason);
  void signal_queue(std::uint16_t index) override;
  void signal_config() override;
  void needs_reset(std::uint16_t queue, const std::string& reason) override;

  EventLoop& loop_;
  VirtioDevice& device_;
  const std::shared_ptr<const GuestMemory> memory_;
  mmio::InterruptLine& line_;
  const MmioTransportOptions options_;
  const std::vector<Notifier> kicks_;
  const abi::virtio::DeviceId device_id_;
  const std::uint64_t offered_features_;
  const std::vector<std::uint16_t> queue_sizes_;

  mutable std::mutex mutex_;       ///< guards registers_ and config_; never held while the device is called
  MmioTransportState registers_;   ///< but for interrupt_status, which has a place of its own
  std::vector<std::byte> config_;  ///< the device's configuration space as of its last change
  std::atomic<std::uint32_t> interrupt_status_{0};
  std::atomic<unsigned> warnings_{0};

  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  /// Posted work may outlive the transport by a round; it looks here first. Loop's thread.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool active_ = false;     ///< the device has queues; loop's thread
  bool suspended_ = false;  ///< loop's thread
};

}  // namespace vmm::virtio
