#include "vmm/devices/vhost_user_vsock/vhost_user_vsock.hpp"

#include "vmm/base/descriptor_limit.hpp"
#include "vmm/devices/vsock/device.hpp"
#include "vmm/virtio/transport/vhost_user/backend.hpp"

namespace vmm {
namespace {

/// QEMU keeps the event queue of vhost-user-vsock-device to itself.
constexpr std::uint16_t kQueuesDrivenByQemu = 2;

class Served final : public VhostUserVsock {
 public:
  explicit Served(std::unique_ptr<vsock::VsockDevice> device) : device_(std::move(device)) {}

  [[nodiscard]] vsock::Counters counters() const override { return device_->counters(); }

  void guest_was_reset() override {
    if (backend_) backend_->guest_was_reset();
  }

  void stop() override {
    backend_.reset();
    device_->close_host_side("the machine has stopped");
  }

  void attach(std::unique_ptr<virtio::vhost_user::Backend> backend) { backend_ = std::move(backend); }

 private:
  std::unique_ptr<vsock::VsockDevice> device_;
  std::unique_ptr<virtio::vhost_user::Backend> backend_;  ///< uses device_, so destroyed first
};

}  // namespace

Result<std::unique_ptr<VhostUserVsock>> VhostUserVsock::start(EventLoop& loop, UniqueFd front_end, VsockConfig config,
                                                              DisconnectCallback disconnected) {
  raise_descriptor_limit();
  auto device = vsock::VsockDevice::create(loop, {.guest_cid = config.guest_cid,
                                                  .socket_path = config.socket_path,
                                                  .direct = vsock::for_legacy_clients(config.legacy_listener),
                                                  .limits = {},
                                                  .socket_limits = {}});
  if (!device) return std::unexpected(std::move(device.error()));
  vsock::VsockDevice& model = **device;
  auto served = std::make_unique<Served>(std::move(*device));
  auto backend = virtio::vhost_user::Backend::start(
      loop, std::move(front_end), model,
      {.queues = kQueuesDrivenByQemu, .disconnected = std::move(disconnected), .warning = std::move(config.warning)});
  if (!backend) return std::unexpected(std::move(backend.error()));
  served->attach(std::move(*backend));
  return served;
}

}  // namespace vmm
