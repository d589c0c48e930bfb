// A device for the tests of transports: serves its queues, and traps when a transport breaks the contract of
// device.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/virtio/device.hpp"

namespace vmm::virtio::testing {

/// Three queues, the first two required. Each request's readable bytes are copied to its writable ones.
class EchoDevice final : public VirtioDevice {
 public:
  static constexpr std::uint16_t kSizes[3] = {16, 16, 8};
  static constexpr std::size_t kConfigBytes = 12;

  // What happened to it.
  int activations = 0, deactivations = 0, resets = 0, requests = 0;
  std::vector<int> kicks = std::vector<int>(3);
  std::optional<std::string> refuse_activation;  ///< what activate() fails with

  [[nodiscard]] const Activation* active() const { return active_ ? &*active_ : nullptr; }
  /// Changes the configuration space from the device's side.
  void change_config(std::size_t offset, std::byte value) {
    config_[offset] = value;
    if (active_) active_->interrupt->signal_config();
  }

  [[nodiscard]] abi::virtio::DeviceId id() const override { return abi::virtio::DeviceId::Npu; }
  [[nodiscard]] std::uint64_t features() const override {
    using namespace abi::virtio::feature;
    return bit(kVersion1) | bit(kRingIndirectDesc) | bit(kRingEventIdx) | bit(0);
  }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kSizes; }
  [[nodiscard]] std::uint16_t required_queues() const override { return 2; }
  [[nodiscard]] std::vector<std::byte> config() const override { return config_; }
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes) override {
    if (offset > kConfigBytes || bytes.size() > kConfigBytes - offset) __builtin_trap();
    std::ranges::copy(bytes, config_.begin() + offset);
  }
  Result<> activate(Activation activation) override {
    if (active_ || broken_ || activation.queues.size() < 2 || activation.queues.size() > 3) __builtin_trap();
    if ((activation.features & ~features()) != 0 || activation.interrupt == nullptr) __builtin_trap();
    ++activations;
    if (refuse_activation) return fail(*refuse_activation);
    active_ = std::move(activation);
    for (std::uint16_t i = 0; i < active_->queues.size(); ++i) serve(i);
    return {};
  }
  std::vector<Virtqueue> deactivate() override {
    ++deactivations;
    std::vector<Virtqueue> queues;
    if (active_) queues = std::move(active_->queues);
    active_.reset();
    return queues;
  }
  void reset() override {
    ++resets;
    active_.reset();
    broken_ = false;
  }
  void queue_kicked(std::uint16_t index) override {
    if (index >= 3) __builtin_trap();
    ++kicks[index];
    serve(index);
  }
  Result<> memory_changed(const std::shared_ptr<const GuestMemory>&) override { return {}; }

 private:
  void serve(std::uint16_t index) {
    if (!active_ || broken_ || index >= active_->queues.size()) return;
    Virtqueue& queue = active_->queues[index];
    do {
      for (;;) {
        const auto popped = queue.pop(chain_);
        if (!popped) {
          broken_ = true;
          return active_->interrupt->needs_reset(index, popped.error().message());
        }
        if (!*popped) break;
        ++requests;
        Reader reader = chain_.reader();
        Writer writer = chain_.writer();
        std::byte bytes[256];
        const std::size_t read = reader.read(bytes);
        queue.push(chain_.head(), static_cast<std::uint32_t>(writer.write(std::span(bytes).first(read))));
        if (queue.publish()) active_->interrupt->signal_queue(index);
      }
    } while (queue.enable_kicks());
  }

  std::optional<Activation> active_;
  bool broken_ = false;
  DescriptorChain chain_;
  std::vector<std::byte> config_ = std::vector<std::byte>(kConfigBytes);
};

}  // namespace vmm::virtio::testing
