// A transport with an EchoDevice on the test's thread: after the first round of the loop that thread is the loop's, so
// control registers act at once.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "register_driver.hpp"
#include "vmm/virtio/testing/echo_device.hpp"
#include "vmm/virtio/transport/mmio/mmio_transport.hpp"

namespace vmm::virtio::testing {

inline constexpr std::uint32_t kRunning = 15, kBroken = kRunning | 64;

struct MmioTransportTest : ::testing::Test {
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  FakeGuest guest;
  EchoDevice device;
  FakeLine line;
  std::vector<std::string> warnings;
  std::unique_ptr<MmioTransport> transport;
  std::optional<RegisterDriver> driver;
  std::vector<std::unique_ptr<FakeQueue>> queues;

  void SetUp() override {
    make();
    spin();
  }
  void make() {
    transport = std::move(*MmioTransport::create(*loop, device, guest.memory(), line,
                                                 {.warning = [this](const std::string& w) { warnings.push_back(w); }}));
    driver.emplace(*transport);
  }
  void spin() { ASSERT_TRUE(loop->run_once(std::chrono::milliseconds(0))); }
  void make_queues() {
    queues.clear();
    for (int i = 0; i < 3; ++i) queues.push_back(std::make_unique<FakeQueue>(guest, std::uint16_t{8}, true, true));
  }
  /// A driver that uses the first `count` queues.
  void boot(std::uint16_t count = 3) {
    driver->negotiate();
    make_queues();
    for (std::uint16_t i = 0; i < count; ++i) driver->set_up(i, queues[i]->layout());
    driver->set_status(kRunning);
  }
  /// Sends "ping" through a queue; what comes back.
  std::string echo(std::size_t queue) {
    const std::uint64_t from = guest.allocate(4);
    const std::uint64_t to = guest.allocate(4);
    guest.put_bytes(from, "ping");
    queues[queue]->add({{from, 4, false}, {to, 4, true}});
    driver->kick(static_cast<std::uint16_t>(queue));
    spin();
    const auto used = queues[queue]->collect();
    return used ? guest.get_bytes(to, used->bytes) : "<nothing>";
  }
  std::string only_warning() {
    EXPECT_EQ(warnings.size(), 1u);
    return warnings.empty() ? "" : warnings.front();
  }
  void expect_broken(const std::string& reason) {
    EXPECT_EQ(driver->status(), kBroken);
    EXPECT_EQ(driver->take_interrupt() & abi::virtio::mmio::kInterruptConfig, abi::virtio::mmio::kInterruptConfig);
    EXPECT_EQ(only_warning(), reason + "; the device waits for its driver to reset it");
    EXPECT_GE(line.edges, 1);
  }
};

}  // namespace vmm::virtio::testing
