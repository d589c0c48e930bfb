// A driver that knows nothing but the registers of virtio-mmio, for the tests of the transport.
#pragma once

#include <gtest/gtest.h>

#include "vmm/mmio/device.hpp"
#include "vmm/virtio/testing/fake_driver.hpp"

namespace vmm::virtio::testing {

/// Counts edges.
struct FakeLine final : mmio::InterruptLine {
  std::atomic<int> edges{0};
  void set(bool asserted) override {
    if (!asserted) ADD_FAILURE() << "the line of a virtio-mmio slot is edge-triggered";
    ++edges;
  }
};

class RegisterDriver {
 public:
  explicit RegisterDriver(mmio::Device& window) : window_(window) {}

  [[nodiscard]] std::uint32_t get(std::uint32_t offset) const {
    return static_cast<std::uint32_t>(window_.read(offset, 4));
  }
  void set(std::uint32_t offset, std::uint32_t value) const { window_.write(offset, 4, value); }
  [[nodiscard]] std::uint32_t status() const { return get(abi::virtio::mmio::Status); }
  void set_status(std::uint32_t value) const { set(abi::virtio::mmio::Status, value); }

  [[nodiscard]] std::uint64_t offered() const {
    set(abi::virtio::mmio::DeviceFeaturesSel, 0);
    const std::uint64_t low = get(abi::virtio::mmio::DeviceFeatures);
    set(abi::virtio::mmio::DeviceFeaturesSel, 1);
    return low | std::uint64_t{get(abi::virtio::mmio::DeviceFeatures)} << 32;
  }
  void accept(std::uint64_t features) const {
    set(abi::virtio::mmio::DriverFeaturesSel, 0);
    set(abi::virtio::mmio::DriverFeatures, static_cast<std::uint32_t>(features));
    set(abi::virtio::mmio::DriverFeaturesSel, 1);
    set(abi::virtio::mmio::DriverFeatures, static_cast<std::uint32_t>(features >> 32));
  }
  /// Up to FEATURES_OK, with all that is offered.
  void negotiate() const {
    set_status(0);
    set_status(1);
    set_status(3);
    accept(offered());
    set_status(11);
    ASSERT_EQ(status(), 11u);
  }
  void set_address(std::uint32_t low, Gpa address) const {
    set(low, static_cast<std::uint32_t>(address.value()));
    set(low + 4, static_cast<std::uint32_t>(address.value() >> 32));
  }
  /// Describes a queue without making it ready.
  void describe(std::uint16_t index, const QueueLayout& layout) const {
    set(abi::virtio::mmio::QueueSel, index);
    set(abi::virtio::mmio::QueueNum, layout.size);
    set_address(abi::virtio::mmio::QueueDescLow, layout.descriptors);
    set_address(abi::virtio::mmio::QueueDriverLow, layout.available);
    set_address(abi::virtio::mmio::QueueDeviceLow, layout.used);
  }
  void set_up(std::uint16_t index, const QueueLayout& layout) const {
    describe(index, layout);
    set(abi::virtio::mmio::QueueReady, 1);
    ASSERT_EQ(get(abi::virtio::mmio::QueueReady), 1u);
  }
  void kick(std::uint16_t index) const { set(abi::virtio::mmio::QueueNotify, index); }
  /// As Linux does: reads the cause, then clears it.
  [[nodiscard]] std::uint32_t take_interrupt() const {
    const std::uint32_t cause = get(abi::virtio::mmio::InterruptStatus);
    set(abi::virtio::mmio::InterruptAck, cause);
    return cause;
  }

 private:
  mmio::Device& window_;
};

}  // namespace vmm::virtio::testing
