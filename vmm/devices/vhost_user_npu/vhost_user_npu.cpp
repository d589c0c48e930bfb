#include "vmm/devices/vhost_user_npu/vhost_user_npu.hpp"

#include "vmm/devices/npu/device.hpp"
#include "vmm/virtio/transport/vhost_user/backend.hpp"

namespace vmm {
namespace {

class Served final : public VhostUserNpu {
 public:
  explicit Served(std::unique_ptr<npu::NpuDevice> device) : device_(std::move(device)) {}

  [[nodiscard]] npu::Counters counters() const override { return device_->counters(); }

  void guest_was_reset() override {
    if (backend_) backend_->guest_was_reset();
  }

  void stop() override {
    backend_.reset();
    device_->close();
  }

  void attach(std::unique_ptr<virtio::vhost_user::Backend> backend) { backend_ = std::move(backend); }

 private:
  std::unique_ptr<npu::NpuDevice> device_;
  std::unique_ptr<virtio::vhost_user::Backend> backend_;  ///< uses device_, so destroyed first
};

}  // namespace

Result<std::unique_ptr<VhostUserNpu>> VhostUserNpu::start(EventLoop& loop, UniqueFd front_end, NpuConfig config,
                                                          DisconnectCallback disconnected) {
  auto device = npu::NpuDevice::create(loop, {.commands = npu::real_commands(), .options = std::move(config.options)});
  if (!device) return std::unexpected(std::move(device.error()));
  npu::NpuDevice& model = **device;
  auto served = std::make_unique<Served>(std::move(*device));
  auto backend = virtio::vhost_user::Backend::start(
      loop, std::move(front_end), model,
      {.queues = abi::npu::kQueues, .disconnected = std::move(disconnected), .warning = std::move(config.warning)});
  if (!backend) return std::unexpected(std::move(backend.error()));
  served->attach(std::move(*backend));
  return served;
}

}  // namespace vmm
