// The whole device with real Unix sockets, driven by a fake driver.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "vmm/base/unix_socket.hpp"
#include "vmm/devices/vsock/device.hpp"
#include "vmm/virtio/testing/fake_driver.hpp"

namespace vmm::vsock {

using std::chrono::milliseconds;
using virtio::testing::FakeGuest;
using virtio::testing::FakeQueue;

inline constexpr std::uint64_t kCid = 42;
inline constexpr std::uint32_t kRxBytes = 4096;

struct FakeInterrupt final : virtio::Interrupt {
  int queue_signals = 0;
  std::string reset_reason;
  void signal_queue(std::uint16_t) override { ++queue_signals; }
  void signal_config() override {}
  void needs_reset(std::uint16_t, const std::string& reason) override { reset_reason = reason; }
};

/// A folder that is removed with what is in it.
struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "sis-vsock-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

struct DeviceTest : ::testing::Test {
  Folder folder;
  std::string path = folder.path / "vsock.sock";
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  DeviceConfig config{.guest_cid = kCid, .socket_path = path, .limits = {}, .socket_limits = {}};
  std::unique_ptr<VsockDevice> device;
  FakeInterrupt interrupt;
  std::optional<FakeGuest> guest;
  std::optional<FakeQueue> rx, tx, events;
  std::uint64_t event_buffer = 0;
  std::uint64_t rx_buffers = 0;
  std::uint64_t tx_buffer = 0;
  std::uint16_t rx_offered = 0;
  std::uint16_t tx_sent = 0;

  void make() { device = std::move(*VsockDevice::create(*loop, config)); }
  void SetUp() override { make(); }

  void spin(int rounds = 4) {
    for (int i = 0; i < rounds; ++i) ASSERT_TRUE(loop->run_once(milliseconds(0)));
  }
  /// A driver sets the queues up and offers rx buffers.
  /// @param event_buffers with an event queue that has so many; none: without the queue
  void boot(int buffers = 16, std::optional<int> event_buffers = std::nullopt) {
    guest.emplace();
    rx.emplace(*guest, std::uint16_t{16}, true, true);
    tx.emplace(*guest, std::uint16_t{16}, true, true);
    rx_buffers = guest->allocate(16 * kRxBytes);
    tx_buffer = guest->allocate(std::size_t{16} * kRxBytes);
    rx_offered = tx_sent = 0;
    virtio::Activation activation{.features = device->features(), .queues = {}, .interrupt = &interrupt};
    activation.queues.push_back(rx->device_side());
    activation.queues.push_back(tx->device_side());
    if (event_buffers) {
      events.emplace(*guest, std::uint16_t{8}, true, true);
      event_buffer = guest->allocate(sizeof(abi::Le32));
      activation.queues.push_back(events->device_side());
      for (int i = 0; i < *event_buffers; ++i) offer_event();
    }
    ASSERT_TRUE(device->activate(std::move(activation)));
    for (int i = 0; i < buffers; ++i) offer_rx();
    device->queue_kicked(0);
  }
  void offer_rx() {
    const auto slot = static_cast<std::uint16_t>(rx_offered++ % 16);
    rx->add_at(slot, {{rx_buffers + slot * std::uint64_t{kRxBytes}, kRxBytes, true}});
  }
  void offer_event() { events->add({{event_buffer, sizeof(abi::Le32), true}}); }
  struct Packet {
    PacketHeader header{};
    std::string payload;
    [[nodiscard]] Op op() const { return static_cast<Op>(header.op.value()); }
  };
  /// The next packet that the driver receives; the buffer is offered again.
  Packet receive() {
    for (int i = 0; i < 50; ++i) {
      if (const auto used = rx->collect()) {
        const std::uint64_t address = rx_buffers + used->id * std::uint64_t{kRxBytes};
        Packet packet;
        packet.header = guest->get<PacketHeader>(address);
        packet.payload = guest->get_bytes(address + sizeof packet.header, used->bytes - sizeof packet.header);
        offer_rx();
        device->queue_kicked(0);
        return packet;
      }
      spin(1);
    }
    return {};
  }
  void send(Op op, ConnectionKey key, std::string_view payload = "", std::uint32_t flags = 0) {
    PacketHeader header{};
    header.src_cid = kCid;
    header.dst_cid = abi::vsock::kHostCid;
    header.src_port = key.guest_port;
    header.dst_port = key.host_port;
    header.len = static_cast<std::uint32_t>(payload.size());
    header.type = abi::vsock::kTypeStream;
    header.op = static_cast<std::uint16_t>(op);
    header.flags = flags;
    header.buf_alloc = 1 << 20;
    const std::uint64_t address = tx_buffer + tx_sent % 16 * std::uint64_t{kRxBytes};
    guest->put(address, header);
    if (!payload.empty()) guest->put_bytes(address + sizeof header, payload);
    tx->add_at(tx_sent++ % 16, {{address, static_cast<std::uint32_t>(sizeof header + payload.size()), false}});
    device->queue_kicked(1);
    spin();
  }

  UniqueFd client(std::string_view text = "") {
    auto fd = connect_unix(path);
    EXPECT_TRUE(fd.has_value());
    timeval patience{.tv_sec = 0, .tv_usec = 20'000};
    ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    say(*fd, text);
    return std::move(*fd);
  }
  void say(const UniqueFd& fd, std::string_view text) {
    ASSERT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    spin();
  }
  /// What the client gets; "<end>" for the end of the stream, "<nothing>" if nothing comes.
  static std::string hear(const UniqueFd& fd) {
    char bytes[4096];
    const ssize_t got = ::recv(fd.get(), bytes, sizeof bytes, 0);
    if (got < 0) return "<nothing>";
    return got == 0 ? "<end>" : std::string(bytes, static_cast<std::size_t>(got));
  }
  ConnectionKey accept() {
    const Packet request = receive();
    EXPECT_EQ(request.op(), Op::Request);
    const ConnectionKey key{.host_port = request.header.src_port, .guest_port = request.header.dst_port};
    send(Op::Response, key);
    return key;
  }
};

}  // namespace vmm::vsock
