// Virtual CPUs on other threads than the loop's.
#include <gtest/gtest.h>

#include <thread>

#include "register_driver.hpp"
#include "vmm/virtio/testing/echo_device.hpp"
#include "vmm/virtio/transport/mmio/mmio_transport.hpp"

namespace vmm::virtio {
namespace {

using testing::EchoDevice;
using testing::FakeGuest;
using testing::FakeLine;
using testing::FakeQueue;
using testing::RegisterDriver;

struct MmioThreadsTest : ::testing::Test {
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  FakeGuest guest;
  EchoDevice device;
  FakeLine line;
  std::unique_ptr<MmioTransport> transport =
      std::move(*MmioTransport::create(*loop, device, guest.memory(), line, {.warning = [](const std::string&) {}}));
  std::thread runner;

  void start_loop() {
    runner = std::thread([this] { ASSERT_TRUE(loop->run()); });
  }
  void TearDown() override {
    loop->stop();
    if (runner.joinable()) runner.join();
  }
};

TEST_F(MmioThreadsTest, driver_on_another_thread_sees_each_step_done) {
  start_loop();
  const RegisterDriver driver(*transport);
  for (int round = 0; round < 20; ++round) {
    driver.negotiate();
    FakeQueue first(guest, 8), second(guest, 8);
    driver.set_up(0, first.layout());
    driver.set_up(1, second.layout());
    const std::uint64_t buffer = guest.allocate(4);
    first.add({{buffer, 4, true}});
    driver.set_status(15);
    ASSERT_EQ(driver.status(), 15u);
    // Activation serves what is there before DRIVER_OK's write returns, and after the reset's nothing is touched.
    EXPECT_TRUE(first.collect());
    driver.set_status(0);
    EXPECT_EQ(driver.status(), 0u);
    EXPECT_EQ(device.active(), nullptr);
    EXPECT_EQ(device.resets, round + 1);
  }
}

TEST_F(MmioThreadsTest, two_virtual_cpus_that_fight_over_the_registers_break_nothing) {
  start_loop();
  FakeQueue queues[] = {FakeQueue(guest, 8), FakeQueue(guest, 8)};
  const auto fight = [&](unsigned seed) {
    const RegisterDriver driver(*transport);
    for (unsigned i = 0; i < 300; ++i) {
      const unsigned step = (i * 7 + seed * 5) % 11;
      if (step == 0) driver.set_status(0);
      if (step == 1) driver.set_status(3);
      if (step == 2) driver.accept(driver.offered());
      if (step == 3) driver.set_status(11);
      if (step == 4) driver.describe(0, queues[0].layout());
      if (step == 5) driver.set(abi::virtio::mmio::QueueReady, 1);
      if (step == 6) driver.describe(1, queues[1].layout());
      if (step == 7) driver.set(abi::virtio::mmio::QueueReady, 1);
      if (step == 8) driver.set_status(15);
      if (step == 9) driver.kick(1);
      if (step == 10) transport->write(0x104, 4, i);
    }
  };
  std::thread other(fight, 1);
  fight(2);
  other.join();
  const RegisterDriver driver(*transport);
  driver.negotiate();
}

TEST_F(MmioThreadsTest, queue_made_ready_behind_a_reset_stays_unused) {
  // Both are posted before the loop runs: the one that the loop does first takes the ground from under the other.
  const RegisterDriver driver(*transport);
  ASSERT_TRUE(loop->run_once(std::chrono::milliseconds(0)));
  driver.negotiate();
  FakeQueue queues[] = {FakeQueue(guest, 8), FakeQueue(guest, 8), FakeQueue(guest, 8)};
  driver.set_up(0, queues[0].layout());
  driver.set_up(1, queues[1].layout());
  driver.set_status(15);
  driver.describe(2, queues[2].layout());
  loop->post([this] { transport->write(abi::virtio::mmio::Status, 4, 0); });
  std::atomic<bool> started{false};
  std::thread cpu([&] {
    started = true;
    driver.set(abi::virtio::mmio::QueueReady, 1);
  });
  while (!started) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // let it post; without, the test only proves less
  ASSERT_TRUE(loop->run_once(std::chrono::milliseconds(100)));
  transport->shutdown();
  cpu.join();
  driver.set(abi::virtio::mmio::QueueSel, 2);
  EXPECT_EQ(driver.get(abi::virtio::mmio::QueueReady), 0u);
  EXPECT_EQ(device.active(), nullptr);
}

TEST_F(MmioThreadsTest, shutdown_frees_a_virtual_cpu_that_waits_for_a_loop_that_does_not_run) {
  std::atomic<bool> about_to_wait{false};
  std::thread cpu([&] {
    const RegisterDriver driver(*transport);
    driver.set_status(3);
    about_to_wait = true;
    transport->write(0x100, 4, 1);
  });
  while (!about_to_wait) std::this_thread::yield();
  transport->shutdown();
  cpu.join();
  transport->write(0x100, 4, 2);  // does not wait either
  // What was posted before the shutdown is still done while the transport lives, and not after.
  transport.reset();
  ASSERT_TRUE(loop->run_once(std::chrono::milliseconds(0)));
  EXPECT_EQ(device.config()[0], std::byte{0});
}

TEST_F(MmioThreadsTest, warnings_arrive_on_the_loops_thread) {
  std::thread::id warned;
  transport.reset();
  transport =
      std::move(*MmioTransport::create(*loop, device, guest.memory(), line,
                                       {.warning = [&](const std::string&) { warned = std::this_thread::get_id(); }}));
  transport->write(abi::virtio::mmio::QueueNum, 4, 1);
  EXPECT_EQ(warned, std::thread::id());
  ASSERT_TRUE(loop->run_once(std::chrono::milliseconds(0)));
  EXPECT_EQ(warned, std::this_thread::get_id());
}

}  // namespace
}  // namespace vmm::virtio
