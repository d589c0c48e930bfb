// What a driver does with status, features and queues.
#include "transport_fixture.hpp"

namespace vmm::virtio {
namespace {

using namespace abi::virtio::mmio;
using namespace testing;

TEST_F(MmioTransportTest, identity_is_version_2_of_the_device) {
  EXPECT_EQ(driver->get(Register::MagicValue), 0x74726976u);
  EXPECT_EQ(driver->get(Register::Version), 2u);
  EXPECT_EQ(driver->get(Register::DeviceId), 65535u);
  EXPECT_NE(driver->get(Register::VendorId), 0u);
}

TEST_F(MmioTransportTest, features_come_in_words) {
  EXPECT_EQ(driver->offered(), device.features());
  driver->set(Register::DeviceFeaturesSel, 2);
  EXPECT_EQ(driver->get(Register::DeviceFeatures), 0u);
  driver->set(Register::DeviceFeaturesSel, UINT32_MAX);
  EXPECT_EQ(driver->get(Register::DeviceFeatures), 0u);
}

TEST_F(MmioTransportTest, driver_that_keeps_to_the_order_runs) {
  boot();
  EXPECT_EQ(driver->status(), kRunning);
  ASSERT_NE(device.active(), nullptr);
  EXPECT_EQ(device.active()->features, device.features());
  ASSERT_EQ(device.active()->queues.size(), 3u);
  const QueueLayout& layout = device.active()->queues[1].layout();
  EXPECT_EQ(layout.size, 8);
  EXPECT_EQ(layout.descriptors, queues[1]->layout().descriptors);
  EXPECT_EQ(layout.available, queues[1]->layout().available);
  EXPECT_EQ(layout.used, queues[1]->layout().used);
  EXPECT_TRUE(layout.event_index);
  EXPECT_TRUE(layout.indirect);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(echo(i), "ping");
  EXPECT_TRUE(warnings.empty());
}

TEST_F(MmioTransportTest, features_not_negotiated_are_not_used) {
  driver->set_status(1);
  driver->set_status(3);
  driver->accept(std::uint64_t{1} << 32);
  driver->set_status(11);
  make_queues();
  for (std::uint16_t i = 0; i < 2; ++i) driver->set_up(i, queues[i]->layout());
  driver->set_status(kRunning);
  ASSERT_NE(device.active(), nullptr);
  EXPECT_EQ(device.active()->features, std::uint64_t{1} << 32);
  EXPECT_FALSE(device.active()->queues[0].layout().event_index);
  EXPECT_FALSE(device.active()->queues[0].layout().indirect);
}

TEST_F(MmioTransportTest, last_queue_may_be_left_out) {
  boot(2);
  ASSERT_NE(device.active(), nullptr);
  EXPECT_EQ(device.active()->queues.size(), 2u);
}

TEST_F(MmioTransportTest, features_that_were_not_offered_are_refused) {
  driver->set_status(3);
  driver->accept(device.features() | 2);
  driver->set_status(11);
  EXPECT_EQ(driver->status(), 3u);
  EXPECT_EQ(only_warning(),
            "ignored a write of 11 to register 112: FEATURES_OK refused: the driver accepted features that were not "
            "offered");
  driver->accept(device.features());
  driver->set_status(11);
  EXPECT_EQ(driver->status(), 11u);
}

TEST_F(MmioTransportTest, features_beyond_the_second_word_are_refused) {
  driver->set_status(3);
  driver->accept(device.features());
  driver->set(Register::DriverFeaturesSel, 2);
  driver->set(Register::DriverFeatures, 0);
  driver->set(Register::DriverFeaturesSel, 3);
  driver->set(Register::DriverFeatures, 1);
  driver->set_status(11);
  EXPECT_EQ(driver->status(), 3u);
}

TEST_F(MmioTransportTest, legacy_driver_is_refused) {
  driver->set_status(3);
  driver->accept(1);
  driver->set_status(11);
  EXPECT_EQ(driver->status(), 3u);
  EXPECT_EQ(only_warning(),
            "ignored a write of 11 to register 112: FEATURES_OK refused: the driver did not accept VIRTIO_F_VERSION_1");
}

TEST_F(MmioTransportTest, features_are_final_after_features_ok) {
  driver->negotiate();
  driver->accept(std::uint64_t{1} << 32);
  EXPECT_EQ(warnings.size(), 2u);
  make_queues();
  for (std::uint16_t i = 0; i < 2; ++i) driver->set_up(i, queues[i]->layout());
  driver->set_status(kRunning);
  EXPECT_EQ(device.active()->features, device.features());
}

TEST_F(MmioTransportTest, status_bits_out_of_order_are_refused) {
  driver->set_status(2);
  EXPECT_EQ(driver->status(), 0u);
  driver->set_status(8);
  EXPECT_EQ(driver->status(), 0u);
  driver->set_status(1);
  driver->set_status(1 | 4);
  EXPECT_EQ(driver->status(), 1u);
  driver->set_status(3);
  driver->set_status(3 | 4);
  EXPECT_EQ(driver->status(), 3u);
  EXPECT_EQ(device.activations, 0);
  EXPECT_EQ(warnings.size(), 4u);
}

TEST_F(MmioTransportTest, status_bits_may_come_together) {
  driver->accept(device.features());
  driver->set_status(11);
  EXPECT_EQ(driver->status(), 11u);
}

TEST_F(MmioTransportTest, status_bits_are_only_taken_back_by_a_reset) {
  boot();
  driver->set_status(kRunning & ~4u);
  EXPECT_EQ(driver->status(), kRunning);
  EXPECT_EQ(only_warning(), "ignored a write of 11 to register 112: a status bit can only be taken back by a reset");
}

TEST_F(MmioTransportTest, unknown_status_bits_do_not_stick) {
  driver->set_status(1 | 16 | 32 | 64 | 0x100);
  EXPECT_EQ(driver->status(), 1u);
}

TEST_F(MmioTransportTest, reset_before_any_driver_stays_in_the_transport) {
  // A client that connected early is held by the device; the first driver's first reset must not end it.
  driver->set_status(0);
  driver->set_status(3);
  driver->set_status(0);
  EXPECT_EQ(driver->status(), 0u);
  EXPECT_EQ(device.resets, 0);
}

TEST_F(MmioTransportTest, reset_clears_everything_and_reaches_the_device_once) {
  boot();
  EXPECT_EQ(echo(0), "ping");
  driver->set_status(0);
  EXPECT_EQ(driver->status(), 0u);
  EXPECT_EQ(device.resets, 1);
  EXPECT_EQ(device.active(), nullptr);
  EXPECT_EQ(driver->get(Register::InterruptStatus), 0u);
  for (std::uint32_t i = 0; i < 3; ++i) {
    driver->set(Register::QueueSel, i);
    EXPECT_EQ(driver->get(Register::QueueReady), 0u);
  }
  driver->set_status(0);
  EXPECT_EQ(device.resets, 1);
  boot();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(echo(i), "ping");
}

TEST_F(MmioTransportTest, absent_queues_have_no_size_and_no_registers) {
  driver->negotiate();
  for (const std::uint32_t index : {3u, 16u, 0x10000u, UINT32_MAX}) {
    driver->set(Register::QueueSel, index);
    EXPECT_EQ(driver->get(Register::QueueNumMax), 0u);
    driver->set(Register::QueueNum, 8);
    driver->set(Register::QueueReady, 1);
    EXPECT_EQ(driver->get(Register::QueueReady), 0u);
  }
  driver->set(Register::QueueSel, 2);
  EXPECT_EQ(driver->get(Register::QueueNumMax), 8u);
}

TEST_F(MmioTransportTest, queues_wait_for_features_ok) {
  make_queues();
  driver->set_status(3);
  driver->describe(0, queues[0]->layout());
  driver->set(Register::QueueReady, 1);
  EXPECT_EQ(driver->get(Register::QueueReady), 0u);
  EXPECT_EQ(warnings.size(), 8u);
}

TEST_F(MmioTransportTest, queue_that_is_ready_does_not_move) {
  driver->negotiate();
  make_queues();
  driver->set_up(0, queues[0]->layout());
  driver->describe(0, queues[2]->layout());
  driver->set_up(1, queues[1]->layout());
  driver->set_status(kRunning);
  EXPECT_EQ(device.active()->queues[0].layout().descriptors, queues[0]->layout().descriptors);
}

TEST_F(MmioTransportTest, queue_taken_back_before_driver_ok_can_move) {
  driver->negotiate();
  make_queues();
  driver->set_up(0, queues[2]->layout());
  driver->set(Register::QueueReady, 0);
  EXPECT_EQ(driver->get(Register::QueueReady), 0u);
  driver->set_up(0, queues[0]->layout());
  driver->set_up(1, queues[1]->layout());
  driver->set_status(kRunning);
  EXPECT_EQ(device.active()->queues[0].layout().descriptors, queues[0]->layout().descriptors);
}

TEST_F(MmioTransportTest, queue_ready_is_a_single_bit) {
  driver->negotiate();
  driver->set(Register::QueueReady, 2);
  EXPECT_EQ(driver->get(Register::QueueReady), 0u);
}

TEST_F(MmioTransportTest, driver_ok_without_a_required_queue_needs_a_reset) {
  driver->negotiate();
  make_queues();
  driver->set_up(0, queues[0]->layout());
  driver->set_up(2, queues[2]->layout());
  driver->set_status(kRunning);
  EXPECT_EQ(device.activations, 0);
  expect_broken("DRIVER_OK, but queue 1 is not ready");
}

struct BadLayout {
  const char* name;
  QueueLayout layout;
  const char* reason;
};
const Gpa kRam(FakeGuest::kBase);
const BadLayout kBadLayouts[] = {
    {"size_zero",
     {.size = 0, .descriptors = kRam, .available = kRam, .used = kRam},
     "queue 1: queue size 0 is not a power of two from 1 to 32768"},
    {"size_odd",
     {.size = 12, .descriptors = kRam, .available = kRam, .used = kRam},
     "queue 1: queue size 12 is not a power of two from 1 to 32768"},
    {"size_large",
     {.size = 32, .descriptors = kRam, .available = kRam, .used = kRam},
     "queue 1: size 32 is more than the device's 16"},
    {"nowhere",
     {.size = 8, .descriptors = Gpa(0x1000), .available = kRam, .used = kRam},
     "queue 1: descriptor table of the queue: 0x80 bytes at guest address 0x1000 do not lie in guest memory"},
    {"wraps",
     {.size = 8, .descriptors = kRam, .available = Gpa(UINT64_MAX - 1), .used = kRam},
     "queue 1: available ring of the queue: 0x16 bytes at guest address 0xfffffffffffffffe do not lie in guest memory"},
    {"misaligned",
     {.size = 8, .descriptors = kRam, .available = kRam, .used = Gpa(FakeGuest::kBase + 2)},
     "queue 1: used ring of the queue: 0x46 bytes at guest address 0x40000002 are not aligned"},
};

struct BadLayoutTest : MmioTransportTest, ::testing::WithParamInterface<BadLayout> {};

TEST_P(BadLayoutTest, needs_a_reset_and_recovers) {
  driver->negotiate();
  make_queues();
  driver->set_up(0, queues[0]->layout());
  driver->set_up(1, GetParam().layout);
  driver->set_status(kRunning);
  EXPECT_EQ(device.activations, 0);
  expect_broken(GetParam().reason);
  boot();
  EXPECT_EQ(driver->status(), kRunning);
  EXPECT_EQ(echo(1), "ping");
}
INSTANTIATE_TEST_SUITE_P(Layouts, BadLayoutTest, ::testing::ValuesIn(kBadLayouts),
                         [](const auto& bad) { return bad.param.name; });

TEST_F(MmioTransportTest, size_with_high_bits_is_not_truncated) {
  driver->negotiate();
  make_queues();
  driver->set_up(0, queues[0]->layout());
  driver->describe(1, queues[1]->layout());
  driver->set(Register::QueueNum, 0x1'0008);
  driver->set(Register::QueueReady, 1);
  driver->set_status(kRunning);
  expect_broken("queue 1: size 65544 is more than the device's 16");
}

TEST_F(MmioTransportTest, activation_that_fails_needs_a_reset) {
  device.refuse_activation = "no such luck";
  boot();
  expect_broken("no such luck");
}

TEST_F(MmioTransportTest, ring_with_garbage_needs_a_reset) {
  boot();
  queues[1]->offer(99);
  driver->kick(1);
  spin();
  expect_broken("queue 1: available ring names descriptor 99 of a queue of 8");
}

TEST_F(MmioTransportTest, broken_device_listens_to_nothing_but_reset) {
  boot();
  queues[0]->offer(99);
  driver->kick(0);
  spin();
  warnings.clear();
  driver->set_status(kRunning);  // without the bit that the driver has not seen
  EXPECT_EQ(driver->status(), kBroken);
  EXPECT_TRUE(warnings.empty());
  driver->set(Register::QueueSel, 0);
  driver->set(Register::QueueReady, 0);
  driver->set(Register::QueueReady, 1);
  EXPECT_EQ(driver->get(Register::QueueReady), 0u);
  EXPECT_EQ(device.activations, 1);
  driver->set_status(0);
  EXPECT_EQ(driver->status(), 0u);
  EXPECT_EQ(device.resets, 1);
}

TEST_F(MmioTransportTest, failed_driver_keeps_its_queues) {
  boot();
  driver->set_status(kRunning | 128);
  EXPECT_EQ(driver->status(), kRunning | 128);
  EXPECT_EQ(device.active(), nullptr);
  driver->set_status(0);
  EXPECT_EQ(device.resets, 1);
}

TEST_F(MmioTransportTest, driver_may_fail_before_it_starts) {
  driver->set_status(3);
  driver->set_status(3 | 128);
  EXPECT_EQ(driver->status(), 3u | 128u);
  driver->set_status(11 | 128);
  EXPECT_EQ(driver->status(), 3u | 128u);
}

TEST_F(MmioTransportTest, optional_queue_can_stop_while_the_others_go_on) {
  boot();
  EXPECT_EQ(echo(0), "ping");
  driver->set(Register::QueueSel, 2);
  driver->set(Register::QueueReady, 0);
  EXPECT_EQ(driver->get(Register::QueueReady), 0u);
  ASSERT_NE(device.active(), nullptr);
  EXPECT_EQ(device.active()->queues.size(), 2u);
  EXPECT_EQ(echo(0), "ping");
  EXPECT_EQ(echo(2), "<nothing>");
}

TEST_F(MmioTransportTest, stopped_queue_starts_afresh_and_the_others_go_on) {
  boot();
  EXPECT_EQ(echo(0), "ping");
  EXPECT_EQ(echo(1), "ping");
  driver->set(Register::QueueSel, 1);
  driver->set(Register::QueueReady, 0);
  EXPECT_EQ(device.active(), nullptr);  // without a required queue there is nothing to serve
  queues[1] = std::make_unique<FakeQueue>(guest, std::uint16_t{8}, true, true);
  driver->set_up(1, queues[1]->layout());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(echo(i), "ping");
  EXPECT_EQ(device.resets, 0);
  EXPECT_TRUE(warnings.empty());
}

}  // namespace
}  // namespace vmm::virtio
