// A virtio device behind a vhost-user socket: the back end's side of the protocol.
//
// The front end (QEMU) owns the device's registers and the event queue; it tells us the memory map, where the rings lie
// and which descriptors kick and call. A ring runs when it has all of that and is enabled; the device is activated when
// all rings that the front end drives run, and its queues are taken back as soon as one of them stops:
//
//     GET_FEATURES .. SET_FEATURES, SET_MEM_TABLE, for each ring SET_VRING_{NUM,BASE,ADDR,KICK,CALL,ENABLE}  ->
//     activate for each ring GET_VRING_BASE -> deactivate
//
// QEMU stops rings both when the machine is paused and when the guest resets the device, and does not say which. The
// next start tells: rings that go on exactly where they stopped belong to the same driver, any other is a new one, and
// the device is reset first.
//
// Everything from the front end is checked: sizes, descriptor counts, indices, addresses, order. What is wrong is
// answered with a failure where the front end asked for an answer, and ends the connection with an error where it did
// not; broken framing always does.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/notifier.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/virtio/device.hpp"
#include "vmm/virtio/transport/vhost_user/memory_table.hpp"
#include "vmm/virtio/transport/vhost_user/message.hpp"

namespace vmm::virtio::vhost_user {

struct BackendOptions {
  /// How many of the device's first queues the front end drives through us: for vsock 2, QEMU keeps the event queue.
  std::uint16_t queues = 0;
  /// Called once, when the connection has ended: with an empty string if the front end closed it in order. The back end
  /// may be destroyed in it.
  std::function<void(const std::string& reason)> disconnected;
  /// Called with what went wrong without ending the connection, such as a broken driver. May be empty.
  std::function<void(const std::string& message)> warning;
};

class Backend final : private Interrupt {
 public:
  /// Starts to answer on `socket`. Loop's thread. `loop` and `device` outlive it.
  static Result<std::unique_ptr<Backend>> start(EventLoop& loop, UniqueFd socket, VirtioDevice& device,
                                                BackendOptions options);
  /// Takes the queues from the device.
  ~Backend() override;

  /// The guest was reset, as another channel (QMP) tells: its connections need not wait for the next driver to end.
  /// Ignored if the next driver runs already.
  void guest_was_reset();

  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

 private:
  struct Ring {
    std::uint32_t size = 0;
    std::optional<VringAddress> address;
    std::uint16_t base = 0;
    Notifier kick, call, error;
    bool enabled = false;
  };
  /// What a resumed driver must find unchanged.
  struct Stopped {
    std::uint64_t features;
    std::vector<QueueLayout> layouts;  ///< next_index: where each queue stopped
  };

  Backend(EventLoop& loop, UniqueFd socket, VirtioDevice& device, BackendOptions options);
  void socket_ready();
  void disconnect(const std::string& reason);
  Result<> handle(Message& message);
  Result<> dispatch(Message& message, bool& replied);

  Result<> reply(const Message& message, std::span<const std::byte> payload);
  Result<> reply_u64(const Message& message, std::uint64_t value);
  Result<> set_features(const Message& message);
  Result<> set_protocol_features(const Message& message);
  Result<> set_memory(Message& message);
  Result<> set_size(const Message& message);
  Result<> set_address(const Message& message);
  Result<> set_base(const Message& message);
  Result<> get_base(const Message& message);
  Result<> set_notifier(Message& message);
  Result<> set_enabled(const Message& message);
  Result<> get_config(const Message& message);
  Result<> set_config(const Message& message);
  Result<Ring*> ring_at(std::uint32_t index);

  [[nodiscard]] bool runs(const Ring& ring) const;
  Result<> start_if_ready();
  [[nodiscard]] Result<QueueLayout> layout_of(const Ring& ring) const;
  void stop_device();
  void watch_kick(std::uint16_t index);
  void unwatch_kick(Ring& ring);

  void signal_queue(std::uint16_t index) override;
  void signal_config() override;
  void needs_reset(std::uint16_t queue, const std::string& reason) override;
  void warn(const std::string& message) const;

  EventLoop& loop_;
  UniqueFd socket_;
  VirtioDevice& device_;
  BackendOptions options_;
  MessageReader reader_;
  std::uint64_t offered_features_;
  std::uint64_t features_ = 0;
  std::uint64_t protocol_features_ = 0;
  MemoryTable memory_;
  std::vector<Ring> rings_;
  bool active_ = false;
  bool ever_active_ = false;
  std::optional<Stopped> stopped_;
};

}  // namespace vmm::virtio::vhost_user
