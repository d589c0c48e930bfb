#include "guest/drivers/virtio_mmio.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <vector>

namespace {

using abi::virtio::DeviceId;
using abi::virtio::mmio::Register;
using guest::drivers::Mmio;
using guest::drivers::VirtioMmio;
using guest::drivers::VirtioProbe;
using guest::kernel::PhysAddr;
using guest::kernel::Status;

constexpr std::uint64_t kVersion1 = std::uint64_t{1} << 32;

/// A virtio-mmio slot that insists on the specification's order of steps.
class SlotModel final : public Mmio {
 public:
  std::uint32_t magic = 0x74726976;
  std::uint32_t version = 2;
  std::uint32_t device_id = 19;
  std::uint64_t offered = kVersion1 | 1U << 29 | 1U << 28 | 1U;
  std::uint64_t accepted = 0;
  std::uint64_t refused_features = 0;  ///< FEATURES_OK does not stick when one of these was chosen
  std::uint32_t status = 0;
  bool reset_works = true;
  std::uint32_t interrupt = 0;
  std::uint32_t generation = 0;
  unsigned config_changes_left = 0;
  std::vector<std::uint8_t> config{1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct Queue {
    std::uint32_t max = 128, size = 0, ready = 0;
    std::map<std::uint32_t, std::uint32_t> addresses;
  };
  std::array<Queue, 3> queues;
  std::vector<std::uint32_t> notified;
  unsigned reads = 0;

  std::uint8_t read8(std::uint32_t offset) override {
    EXPECT_GE(offset, 0x100U) << "registers are read by words";
    return config.at(offset - 0x100);
  }
  std::uint16_t read16(std::uint32_t) override {
    ADD_FAILURE() << "no 16-bit register";
    return 0;
  }
  void write8(std::uint32_t, std::uint8_t) override { ADD_FAILURE(); }
  void write16(std::uint32_t, std::uint16_t) override { ADD_FAILURE(); }

  std::uint32_t read32(std::uint32_t offset) override {
    ++reads;
    switch (offset) {
      case Register::MagicValue:
        return magic;
      case Register::Version:
        return version;
      case Register::DeviceId:
        return device_id;
      case Register::DeviceFeatures:
        return static_cast<std::uint32_t>(device_sel == 0 ? offered : offered >> 32);
      case Register::QueueNumMax:
        return queue_sel < queues.size() ? queues[queue_sel].max : 0;
      case Register::QueueReady:
        return queues.at(queue_sel).ready;
      case Register::InterruptStatus:
        return interrupt;
      case Register::Status:
        return status;
      case Register::ConfigGeneration:
        return generation;
      default:
        break;
    }
    EXPECT_GE(offset, 0x100U) << "read of a write-only register " << offset;
    if (config_changes_left != 0) {
      --config_changes_left;
      ++generation;
    }
    std::uint32_t value = 0;
    std::memcpy(&value, &config.at(offset - 0x100 + 3) - 3, 4);
    return value;
  }

  void write32(std::uint32_t offset, std::uint32_t value) override {
    switch (offset) {
      case Register::DeviceFeaturesSel:
        device_sel = value;
        return;
      case Register::DriverFeaturesSel:
        driver_sel = value;
        return;
      case Register::DriverFeatures:
        EXPECT_EQ(status, 3U) << "features are chosen after DRIVER and before FEATURES_OK";
        accepted = driver_sel == 0 ? (accepted & ~0xFFFF'FFFFULL) | value
                                   : (accepted & 0xFFFF'FFFFULL) | std::uint64_t{value} << 32;
        return;
      case Register::Status:
        write_status(value);
        return;
      case Register::QueueSel:
        queue_sel = value;
        return;
      case Register::QueueNotify:
        EXPECT_EQ(status & 4, 4U) << "notified before DRIVER_OK";
        notified.push_back(value);
        return;
      case Register::InterruptAck:
        interrupt &= ~value;
        return;
      case Register::QueueNum:
        queues.at(queue_sel).size = value;
        return;
      case Register::QueueReady:
        EXPECT_EQ(status, 11U) << "queues are set up between FEATURES_OK and DRIVER_OK";
        EXPECT_EQ(queues.at(queue_sel).addresses.size(), 6U) << "ready before all addresses were given";
        queues.at(queue_sel).ready = value;
        return;
      default:
        EXPECT_TRUE(offset >= 0x80 && offset <= 0xa4) << "write to " << offset;
        EXPECT_EQ(queues.at(queue_sel).ready, 0U) << "addresses of a live queue changed";
        queues.at(queue_sel).addresses[offset] = value;
    }
  }

 private:
  void write_status(std::uint32_t value) {
    if (value == 0) {
      if (reset_works) {
        status = 0;
        queues = {};
      }
      return;
    }
    EXPECT_EQ(status & ~value, 0U) << "a driver clears no status bit but by reset";
    if ((value & 8) != 0 && (accepted & refused_features) != 0) value &= ~8U;
    status = value;
  }
  std::uint32_t device_sel = 0, driver_sel = 0, queue_sel = 0;
};

TEST(VirtioProbe, every_kind_of_slot_is_told_apart) {
  SlotModel slot;
  EXPECT_EQ(probe_virtio_mmio(slot).kind, VirtioProbe::Kind::Device);
  EXPECT_EQ(probe_virtio_mmio(slot).device, DeviceId::Vsock);
  slot.device_id = 0;
  EXPECT_EQ(probe_virtio_mmio(slot).kind, VirtioProbe::Kind::Empty);
  slot.device_id = 19;
  slot.version = 1;
  EXPECT_EQ(probe_virtio_mmio(slot).kind, VirtioProbe::Kind::Legacy);
  EXPECT_EQ(probe_virtio_mmio(slot).version, 1U);
  slot.version = 3;
  EXPECT_EQ(probe_virtio_mmio(slot).kind, VirtioProbe::Kind::Legacy);
  slot.magic = 0;
  EXPECT_EQ(probe_virtio_mmio(slot).kind, VirtioProbe::Kind::NotVirtio);
}

TEST(VirtioProbe, costs_at_most_three_register_reads) {
  SlotModel slot;
  slot.device_id = 0;
  probe_virtio_mmio(slot);
  EXPECT_LE(slot.reads, 3U);
}

TEST(VirtioMmio, negotiation_takes_what_is_wanted_and_offered_and_version_1) {
  SlotModel slot;
  VirtioMmio transport(slot);
  const auto features = transport.negotiate(1U << 29 | 1U << 5);
  ASSERT_TRUE(features.has_value());
  EXPECT_EQ(*features, kVersion1 | 1U << 29);
  EXPECT_EQ(slot.accepted, *features);
  EXPECT_EQ(slot.status, 11U);
}

TEST(VirtioMmio, device_without_version_1_is_refused_and_told) {
  SlotModel slot;
  slot.offered = 1U << 29;
  VirtioMmio transport(slot);
  EXPECT_EQ(transport.negotiate(1U << 29).error(), Status::Unsupported);
  EXPECT_EQ(slot.status & 128, 128U);
}

TEST(VirtioMmio, device_that_does_not_accept_the_features_is_given_up) {
  SlotModel slot;
  slot.refused_features = 1U << 29;
  VirtioMmio transport(slot);
  EXPECT_EQ(transport.negotiate(1U << 29).error(), Status::Unsupported);
  EXPECT_EQ(slot.status & 128, 128U);
}

TEST(VirtioMmio, device_that_never_resets_times_out) {
  SlotModel slot;
  slot.reset_works = false;
  slot.status = 15;
  VirtioMmio transport(slot);
  EXPECT_EQ(transport.negotiate(0).error(), Status::TimedOut);
}

TEST(VirtioMmio, queue_is_set_up_with_all_its_addresses) {
  SlotModel slot;
  VirtioMmio transport(slot);
  ASSERT_TRUE(transport.negotiate(0).has_value());
  EXPECT_EQ(transport.max_queue_size(1), 128U);
  ASSERT_EQ(transport.activate_queue(1, {.size = 64,
                                         .descriptors = PhysAddr{0x1'4000'0000},
                                         .driver_area = PhysAddr{0x2'5000'0000},
                                         .device_area = PhysAddr{0x3'6000'0000}}),
            Status::Ok);
  const auto& queue = slot.queues[1];
  EXPECT_EQ(queue.size, 64U);
  EXPECT_EQ(queue.ready, 1U);
  const std::map<std::uint32_t, std::uint32_t> expected{{0x80, 0x4000'0000}, {0x84, 1},           {0x90, 0x5000'0000},
                                                        {0x94, 2},           {0xa0, 0x6000'0000}, {0xa4, 3}};
  EXPECT_EQ(queue.addresses, expected);
}

TEST(VirtioMmio, missing_busy_and_too_large_queues_are_named) {
  SlotModel slot;
  VirtioMmio transport(slot);
  ASSERT_TRUE(transport.negotiate(0).has_value());
  EXPECT_EQ(transport.activate_queue(7, {.size = 8}), Status::NotFound);
  EXPECT_EQ(transport.activate_queue(0, {.size = 256}), Status::OutOfRange);
  ASSERT_EQ(transport.activate_queue(0, {.size = 8}), Status::Ok);
  EXPECT_EQ(transport.activate_queue(0, {.size = 8}), Status::Busy);
}

TEST(VirtioMmio, driver_ok_then_notify_reaches_the_device) {
  SlotModel slot;
  VirtioMmio transport(slot);
  ASSERT_TRUE(transport.negotiate(0).has_value());
  ASSERT_EQ(transport.set_driver_ok(), Status::Ok);
  EXPECT_EQ(slot.status, 15U);
  transport.notify(2);
  EXPECT_EQ(slot.notified, std::vector<std::uint32_t>{2});
}

TEST(VirtioMmio, needs_reset_is_seen) {
  SlotModel slot;
  VirtioMmio transport(slot);
  ASSERT_TRUE(transport.negotiate(0).has_value());
  EXPECT_FALSE(transport.needs_reset());
  slot.status |= 64;
  EXPECT_TRUE(transport.needs_reset());
  EXPECT_EQ(transport.set_driver_ok(), Status::DeviceFailed);
}

TEST(VirtioMmio, interrupt_causes_are_returned_and_cleared_once) {
  SlotModel slot;
  slot.interrupt = 3;
  VirtioMmio transport(slot);
  EXPECT_EQ(transport.acknowledge_interrupt(), 3U);
  EXPECT_EQ(slot.interrupt, 0U);
  EXPECT_EQ(transport.acknowledge_interrupt(), 0U);
}

TEST(VirtioMmio, configuration_is_read_from_one_generation) {
  SlotModel slot;
  slot.config_changes_left = 5;
  VirtioMmio transport(slot);
  std::array<std::byte, 9> bytes{};
  ASSERT_EQ(transport.read_config(0, bytes), Status::Ok);
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], static_cast<std::byte>(i + 1));
  EXPECT_EQ(slot.config_changes_left, 0U);
}

TEST(VirtioMmio, configuration_that_never_settles_is_busy) {
  SlotModel slot;
  slot.config_changes_left = 1'000'000;
  VirtioMmio transport(slot);
  std::array<std::byte, 8> bytes{};
  EXPECT_EQ(transport.read_config(0, bytes), Status::Busy);
}

}  // namespace
