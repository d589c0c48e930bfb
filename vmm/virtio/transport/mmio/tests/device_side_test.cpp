// Interrupts, kicks, the configuration space, and pausing and restoring.
#include "transport_fixture.hpp"

namespace vmm::virtio {
namespace {

using namespace abi::virtio::mmio;
using namespace testing;

TEST_F(MmioTransportTest, each_signal_is_an_edge_and_the_cause_is_acknowledged) {
  boot();
  EXPECT_EQ(echo(0), "ping");
  EXPECT_EQ(line.edges, 1);
  EXPECT_EQ(driver->get(Register::InterruptStatus), kInterruptVring);
  driver->set(Register::InterruptAck, kInterruptConfig);
  EXPECT_EQ(driver->get(Register::InterruptStatus), kInterruptVring);
  driver->set(Register::InterruptAck, kInterruptVring);
  EXPECT_EQ(driver->get(Register::InterruptStatus), 0u);
}

TEST_F(MmioTransportTest, kick_notifier_and_notify_register_are_the_same) {
  boot();
  ASSERT_EQ(transport->queue_count(), 3);
  transport->kick(1).signal();
  spin();
  EXPECT_EQ(device.kicks, (std::vector{0, 1, 0}));
  driver->kick(1);
  driver->kick(2);
  spin();
  EXPECT_EQ(device.kicks, (std::vector{0, 2, 1}));
  driver->kick(3);
  driver->set(Register::QueueNotify, UINT32_MAX);
  spin();
  EXPECT_EQ(device.kicks, (std::vector{0, 2, 1}));
  EXPECT_EQ(warnings.size(), 2u);
}

TEST_F(MmioTransportTest, kick_before_driver_ok_is_served_at_driver_ok) {
  driver->negotiate();
  make_queues();
  for (std::uint16_t i = 0; i < 2; ++i) driver->set_up(i, queues[i]->layout());
  const std::uint64_t buffer = guest.allocate(4);
  queues[0]->add({{buffer, 4, true}});
  driver->kick(0);
  spin();
  EXPECT_FALSE(queues[0]->collect());
  driver->set_status(kRunning);
  EXPECT_TRUE(queues[0]->collect());
}

TEST_F(MmioTransportTest, configuration_space_is_read_in_any_width) {
  for (std::size_t i = 0; i < EchoDevice::kConfigBytes; ++i) device.change_config(i, static_cast<std::byte>(i + 1));
  make();
  EXPECT_EQ(transport->read(0x100, 1), 1u);
  EXPECT_EQ(transport->read(0x101, 1), 2u);
  EXPECT_EQ(transport->read(0x102, 2), 0x0403u);
  EXPECT_EQ(transport->read(0x104, 4), 0x08070605u);
  EXPECT_EQ(transport->read(0x103, 4), 0x07060504u);
  EXPECT_EQ(transport->read(0x100, 8), 0x0807060504030201u);
  EXPECT_EQ(transport->read(0x108, 8), 0x0c0b0a09u);  // its end
  EXPECT_EQ(transport->read(0x10c, 4), 0u);
  EXPECT_EQ(transport->read(0x1fc, 4), 0u);
}

TEST_F(MmioTransportTest, configuration_space_is_written_by_a_driver_within_bounds) {
  transport->write(0x100, 1, 9);
  EXPECT_EQ(transport->read(0x100, 1), 0u);
  driver->set_status(3);
  transport->write(0x101, 2, 0xbbaa);
  EXPECT_EQ(transport->read(0x100, 4), 0x00bbaa00u);
  const std::uint32_t generation = driver->get(Register::ConfigGeneration);
  transport->write(0x108, 8, UINT64_MAX);
  transport->write(0x10c, 1, 1);
  transport->write(0x1f8, 8, 1);
  EXPECT_EQ(transport->read(0x108, 4), 0u);
  EXPECT_EQ(driver->get(Register::ConfigGeneration), generation);
  EXPECT_EQ(warnings.size(), 4u);
}

TEST_F(MmioTransportTest, change_by_the_device_moves_the_generation_and_interrupts) {
  boot();
  const std::uint32_t generation = driver->get(Register::ConfigGeneration);
  device.change_config(3, std::byte{7});
  EXPECT_NE(driver->get(Register::ConfigGeneration), generation);
  EXPECT_EQ(transport->read(0x103, 1), 7u);
  EXPECT_EQ(driver->take_interrupt(), kInterruptConfig);
  EXPECT_EQ(line.edges, 1);
}

TEST_F(MmioTransportTest, generation_survives_a_reset) {
  boot();
  device.change_config(3, std::byte{7});
  const std::uint32_t generation = driver->get(Register::ConfigGeneration);
  driver->set_status(0);
  EXPECT_EQ(driver->get(Register::ConfigGeneration), generation);
}

TEST_F(MmioTransportTest, shared_memory_regions_are_absent) {
  driver->set(Register::SHMSel, 1);
  for (const std::uint32_t offset : {SHMLenLow, SHMLenHigh, SHMBaseLow, SHMBaseHigh}) {
    EXPECT_EQ(driver->get(offset), UINT32_MAX);
  }
  EXPECT_EQ(driver->get(Register::QueueReset), 0u);
}

TEST_F(MmioTransportTest, registers_are_accessed_whole) {
  for (const unsigned size : {1u, 2u, 8u}) {
    EXPECT_EQ(transport->read(Register::MagicValue, size), 0u);
    transport->write(Register::Status, size, 1);
  }
  EXPECT_EQ(transport->read(Register::MagicValue + 2, 4), 0u);
  transport->write(Register::Status + 1, 4, 1);
  EXPECT_EQ(driver->status(), 0u);
}

TEST_F(MmioTransportTest, unused_registers_read_zero_and_ignore_writes) {
  boot();
  for (const std::uint32_t offset : {0x01cu, 0x028u, 0x034u + 0x14u, 0x054u, 0x0a8u, 0x0f8u, 0x000u, 0x060u, 0x0fcu}) {
    driver->set(offset, UINT32_MAX);
  }
  EXPECT_EQ(driver->status(), kRunning);
  EXPECT_EQ(driver->get(Register::MagicValue), 0x74726976u);
  for (const std::uint32_t offset : {0x01cu, 0x028u, 0x054u, 0x0a8u, 0x0f8u}) EXPECT_EQ(driver->get(offset), 0u);
  for (const std::uint32_t offset : {QueueNum, QueueDescLow, QueueSel, DriverFeatures, QueueNotify, InterruptAck}) {
    EXPECT_EQ(driver->get(offset), 0u);  // write-only
  }
}

TEST_F(MmioTransportTest, warnings_are_bounded_and_the_last_says_so) {
  for (int i = 0; i < 1000; ++i) driver->set(Register::QueueNum, 1);
  ASSERT_EQ(warnings.size(), MmioTransport::kMaxWarnings);
  EXPECT_NE(warnings.back().find("further warnings"), std::string::npos);
  EXPECT_EQ(warnings.front().find("further warnings"), std::string::npos);
}

TEST_F(MmioTransportTest, suspended_device_has_no_queues_and_goes_on_later) {
  boot();
  EXPECT_EQ(echo(0), "ping");
  transport->suspend();
  EXPECT_EQ(device.active(), nullptr);
  EXPECT_EQ(echo(0), "<nothing>");
  transport->suspend();
  transport->resume();
  EXPECT_TRUE(queues[0]->collect());  // its kick was lost, its request was not
  EXPECT_EQ(echo(0), "ping");
  EXPECT_EQ(device.resets, 0);
  EXPECT_EQ(device.deactivations, 1);
}

TEST_F(MmioTransportTest, driver_that_starts_while_suspended_runs_later) {
  transport->suspend();
  boot();
  EXPECT_EQ(driver->status(), kRunning);
  EXPECT_EQ(device.active(), nullptr);
  transport->resume();
  EXPECT_EQ(echo(0), "ping");
}

TEST_F(MmioTransportTest, saved_state_goes_on_in_another_transport) {
  boot();
  EXPECT_EQ(echo(0), "ping");
  EXPECT_EQ(echo(0), "ping");
  const MmioTransportState state = transport->save();
  transport->suspend();
  const int edges = line.edges;
  EchoDevice other;
  transport = std::move(*MmioTransport::create(*loop, other, guest.memory(), line, {.warning = {}}));
  ASSERT_TRUE(transport->restore(state));
  driver.emplace(*transport);
  EXPECT_EQ(driver->status(), kRunning);
  EXPECT_EQ(other.active(), nullptr);
  transport->resume();
  EXPECT_EQ(line.edges, edges + 1);  // the interrupt that nobody has acknowledged
  EXPECT_EQ(driver->take_interrupt(), kInterruptVring);
  ASSERT_NE(other.active(), nullptr);
  EXPECT_EQ(other.requests, 0);  // goes on behind what was served
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(echo(i), "ping");
  driver->set_status(0);
  EXPECT_EQ(other.resets, 1);
}

TEST_F(MmioTransportTest, restored_selectors_and_features_are_in_the_middle_of_set_up) {
  driver->set_status(3);
  driver->accept(device.features());
  driver->set(Register::QueueSel, 2);
  const MmioTransportState state = transport->save();
  EchoDevice other;
  transport = std::move(*MmioTransport::create(*loop, other, guest.memory(), line, {.warning = {}}));
  ASSERT_TRUE(transport->restore(state));
  transport->resume();
  driver.emplace(*transport);
  EXPECT_EQ(driver->get(Register::QueueNumMax), 8u);
  driver->set_status(11);
  EXPECT_EQ(driver->status(), 11u);
}

TEST_F(MmioTransportTest, restored_queues_are_not_trusted) {
  boot();
  MmioTransportState state = transport->save();
  state.queues[0].descriptors = UINT64_MAX;
  EchoDevice other;
  transport = std::move(*MmioTransport::create(*loop, other, guest.memory(), line, {.warning = {}}));
  ASSERT_TRUE(transport->restore(state));
  transport->resume();
  EXPECT_EQ(RegisterDriver(*transport).status(), kBroken);
  EXPECT_EQ(other.activations, 0);
}

TEST_F(MmioTransportTest, states_of_other_devices_are_refused_by_field) {
  const auto refused = [&](auto change) {
    MmioTransportState state{.device_id = 65535, .queue_count = 3, .status = kRunning, .queues = {}};
    state.driver_features = device.features();
    change(state);
    const auto done = transport->restore(state);
    return done ? "accepted" : done.error().message;
  };
  EXPECT_EQ(refused([](auto& s) { s.device_id = 19; }), "saved virtio-mmio state: device_id is 19");
  EXPECT_EQ(refused([](auto& s) { s.queue_count = 2; }), "saved virtio-mmio state: queue_count is 2");
  EXPECT_EQ(refused([](auto& s) { s.status = 16; }), "saved virtio-mmio state: status is 16");
  EXPECT_EQ(refused([](auto& s) { s.status = 4; }), "saved virtio-mmio state: status is 4");
  EXPECT_EQ(refused([](auto& s) { s.driver_features = 2; }), "saved virtio-mmio state: driver_features is 2");
  EXPECT_EQ(refused([](auto& s) { s.interrupt_status = 4; }), "saved virtio-mmio state: interrupt_status is 4");
  EXPECT_EQ(refused([](auto& s) { s.unknown_features = 2; }), "saved virtio-mmio state: unknown_features is 2");
  EXPECT_EQ(refused([](auto& s) { s.engaged = 2; }), "saved virtio-mmio state: engaged is 2");
  EXPECT_EQ(refused([](auto& s) { s.queues[15].ready = 2; }), "saved virtio-mmio state: ready of a queue is 2");
  boot();
  EXPECT_EQ(refused([](auto&) {}), "a driver has used this virtio-mmio device already");
  EXPECT_EQ(echo(0), "ping");
}

TEST_F(MmioTransportTest, transport_that_ends_takes_its_queues_back) {
  boot();
  transport.reset();
  EXPECT_EQ(device.active(), nullptr);
  spin();
}

}  // namespace
}  // namespace vmm::virtio
