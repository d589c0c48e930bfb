#include "vmm/devices/vhost_user_vsock/vhost_user_vsock.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "vmm/devices/vsock/device.hpp"
#include "vmm/virtio/transport/vhost_user/backend.hpp"

namespace vmm {
namespace {

/// QEMU keeps the event queue of vhost-user-vsock-device to itself.
constexpr std::uint16_t kQueuesDrivenByQemu = 2;

/// Each connection is a descriptor, and many systems start a process with 1024. Enough for every connection and client
/// that the device allows, and for the rest of the monitor; what the system grants, if that is less (accepting then
/// pauses while there are none).
void raise_descriptor_limit() {
  constexpr rlim_t kEnough = 8192;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kEnough) return;
  limit.rlim_cur = std::min(kEnough, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

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
  auto device = vsock::VsockDevice::create(
      loop, {.guest_cid = config.guest_cid, .socket_path = config.socket_path, .limits = {}, .socket_limits = {}});
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
