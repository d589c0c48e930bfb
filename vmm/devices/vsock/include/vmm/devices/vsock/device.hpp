// The vsock device: queues on one side, the multiplexer and the host's sockets on the other.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "abi/vsock.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/devices/vsock/counters.hpp"
#include "vmm/devices/vsock/direct_socket.hpp"
#include "vmm/devices/vsock/host_socket.hpp"
#include "vmm/devices/vsock/muxer.hpp"
#include "vmm/virtio/device.hpp"

namespace vmm::vsock {

struct DeviceConfig {
  std::uint64_t guest_cid = abi::vsock::kDefaultGuestCid;  ///< 3 .. 2^32 - 2
  std::string socket_path;                                 ///< see host_socket.hpp
  /// Of listen_for_clients(socket_path), taken over, with its file left alone; -1: the device makes it.
  int listener = -1;
  DirectSocketConfig direct = {};
  Limits limits;
  HostSocketLimits socket_limits;
  Counters* counters = nullptr;  ///< where to count, outliving the device; null: in the device
};

/// What a snapshot keeps of the device; connections are not kept.
struct DeviceState {
  /// New connections do not use the ports of those that the guest had: what it still sends to these shall not be taken
  /// for theirs.
  std::uint32_t next_host_port = 0;
};

/// VIRTIO 1.2, Socket Device, streams only. Knows no transport. Thread: the loop's.
class VsockDevice final : public virtio::VirtioDevice {
 public:
  /// Listens on the public socket at once. Errors name the CID or the path. `loop` outlives the device.
  static Result<std::unique_ptr<VsockDevice>> create(EventLoop& loop, const DeviceConfig& config);
  ~VsockDevice() override;

  [[nodiscard]] abi::virtio::DeviceId id() const override { return abi::virtio::DeviceId::Vsock; }
  [[nodiscard]] std::uint64_t features() const override;
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kQueueSizes; }
  [[nodiscard]] std::uint16_t required_queues() const override { return 2; }  ///< events may stay with a front end
  [[nodiscard]] std::vector<std::byte> config() const override;
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes) override;
  Result<> activate(virtio::Activation activation) override;
  std::vector<virtio::Virtqueue> deactivate() override;
  void reset() override;
  void queue_kicked(std::uint16_t index) override;
  Result<> memory_changed(const std::shared_ptr<const GuestMemory>& memory) override;

  [[nodiscard]] DeviceState save() const { return {.next_host_port = muxer_.next_host_port()}; }
  /// Goes on for a guest whose connections are gone with the device that had them. Once the driver has its queues, it
  /// is told (VIRTIO 1.2, Device Events), and gets nothing else until it has taken notice or kResetNoticeTime is over:
  /// a driver that was saved in the middle of its work would take new connections for old ones.
  /// @return an error if no device can have been in that state
  Result<> restore(const DeviceState& state);
  static constexpr std::chrono::milliseconds kResetNoticeTime{1000};

  /// Readable from any thread.
  [[nodiscard]] const Counters& counters() const { return counters_; }

  /// Stops listening, tells waiting clients `reason`, closes every connection. The device stays, without a host side.
  /// What the guest has sent reaches clients that go on reading: waits for them up to kDeliveryTime, and
  /// kDeliveryPatience while nobody takes anything.
  void close_host_side(std::string_view reason);
  static constexpr std::chrono::milliseconds kDeliveryTime{5000};
  static constexpr std::chrono::milliseconds kDeliveryPatience{500};

 private:
  static constexpr std::array<std::uint16_t, abi::vsock::kQueueCount> kQueueSizes{256, 256, 64};

  void deliver_rest();

  VsockDevice(EventLoop& loop, const DeviceConfig& config);
  [[nodiscard]] virtio::Virtqueue* queue(abi::vsock::Queue index);
  void schedule();
  void serve();
  bool serve_tx();
  bool serve_rx();
  void publish(abi::vsock::Queue index);
  void broken(abi::vsock::Queue index, const std::string& reason);
  void arm_expiry();
  void tell_of_reset();
  void watch_reset_notice();
  void end_reset_notice();

  /// How far the driver is with the news that its connections are gone.
  enum class ResetNotice : std::uint8_t {
    None,  ///< there is no news
    Owed,  ///< it has no event buffer yet
    Told,  ///< it has not offered the buffer again, so it may not have looked
  };

  EventLoop& loop_;
  DeviceConfig config_;
  Counters own_counters_;
  Counters& counters_;
  ServiceConnector connector_;
  Muxer muxer_;
  std::unique_ptr<HostSocket> socket_;
  std::unique_ptr<DirectSocket> direct_socket_;
  virtio::Activation active_;  ///< no queues while not active
  bool broken_ = false;        ///< until reset()
  virtio::DescriptorChain chain_;
  EventLoop::TimerId expiry_timer_ = 0;
  ResetNotice reset_notice_ = ResetNotice::None;
  std::uint16_t event_buffers_ = 0;  ///< offered before the one that told was taken
  std::chrono::steady_clock::time_point reset_notice_end_;
  EventLoop::TimerId reset_notice_timer_ = 0;
  bool scheduled_ = false;
  /// Deferred work may outlive the device by a round; it looks here first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace vmm::vsock
