// The real vsock device, seen from its registers: a client of its public socket talks to a driver in "the guest", which
// runs on another thread than the device, as under KVM.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "abi/vsock.hpp"
#include "register_driver.hpp"
#include "vmm/base/unix_socket.hpp"
#include "vmm/devices/vsock/device.hpp"
#include "vmm/virtio/transport/mmio/mmio_transport.hpp"

namespace vmm::virtio {
namespace {

using namespace abi::virtio::mmio;
using abi::vsock::Op;
using abi::vsock::PacketHeader;
using testing::FakeGuest;
using testing::FakeLine;
using testing::FakeQueue;
using testing::RegisterDriver;

constexpr std::uint64_t kCid = 77;
constexpr std::uint32_t kBufferBytes = 4096;
constexpr std::uint16_t kQueueSize = 16;
constexpr std::uint16_t kRx = 0, kTx = 1, kEvents = 2;

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "sis-mmio-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

struct VsockOverMmioTest : ::testing::Test {
  Folder folder;
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  FakeGuest guest;
  FakeLine line;
  std::unique_ptr<vsock::VsockDevice> device = std::move(*vsock::VsockDevice::create(
      *loop, {.guest_cid = kCid, .socket_path = folder.path / "vsock.sock", .limits = {}, .socket_limits = {}}));
  std::unique_ptr<MmioTransport> transport = std::move(*MmioTransport::create(
      *loop, *device, guest.memory(), line, {.warning = [](const std::string& w) { ADD_FAILURE() << w; }}));
  RegisterDriver driver{*transport};
  FakeQueue rx{guest, kQueueSize, true, true}, tx{guest, kQueueSize, true, true}, events{guest, kQueueSize, true, true};
  std::uint64_t rx_buffers = guest.allocate(std::size_t{kQueueSize} * kBufferBytes);
  std::uint64_t tx_buffer = guest.allocate(kBufferBytes);
  std::uint16_t sent = 0;
  std::thread runner{[this] { ASSERT_TRUE(loop->run()); }};

  void TearDown() override {
    transport->shutdown();
    loop->stop();
    runner.join();
    transport.reset();
  }
  void boot() {
    driver.negotiate();
    driver.set_up(kRx, rx.layout());
    driver.set_up(kTx, tx.layout());
    driver.set_up(kEvents, events.layout());
    driver.set_status(15);
    ASSERT_EQ(driver.status(), 15u);
    for (std::uint16_t i = 0; i < kQueueSize; ++i) {
      rx.add_at(i, {{rx_buffers + i * std::uint64_t{kBufferBytes}, kBufferBytes, true}});
    }
    driver.kick(kRx);
  }
  struct Packet {
    PacketHeader header{};
    std::string payload;
  };
  /// Waits for an interrupt's worth of packets; the next one.
  Packet receive() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < deadline) {
      (void)driver.take_interrupt();
      const auto used = rx.collect();
      if (!used) {
        std::this_thread::yield();
        continue;
      }
      const std::uint64_t address = rx_buffers + used->id * std::uint64_t{kBufferBytes};
      Packet packet;
      packet.header = guest.get<PacketHeader>(address);
      packet.payload = guest.get_bytes(address + sizeof packet.header, used->bytes - sizeof packet.header);
      rx.add_at(static_cast<std::uint16_t>(used->id), {{address, kBufferBytes, true}});
      driver.kick(kRx);
      return packet;
    }
    ADD_FAILURE() << "no packet";
    return {};
  }
  void send(Op op, const PacketHeader& to, std::string_view payload) {
    PacketHeader header{};
    header.src_cid = kCid;
    header.dst_cid = abi::vsock::kHostCid;
    header.src_port = to.dst_port;
    header.dst_port = to.src_port;
    header.len = static_cast<std::uint32_t>(payload.size());
    header.type = abi::vsock::kTypeStream;
    header.op = static_cast<std::uint16_t>(op);
    header.buf_alloc = 1 << 20;
    guest.put(tx_buffer, header);
    if (!payload.empty()) guest.put_bytes(tx_buffer + sizeof header, payload);
    tx.add_at(sent++ % kQueueSize, {{tx_buffer, static_cast<std::uint32_t>(sizeof header + payload.size()), false}});
    driver.kick(kTx);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!tx.collect() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  }
  UniqueFd client() {
    auto fd = connect_unix(folder.path / "vsock.sock");
    EXPECT_TRUE(fd.has_value());
    timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    say(*fd, "CONNECT 5000\n");
    return std::move(*fd);
  }
  static void say(const UniqueFd& fd, std::string_view text) {
    ASSERT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  static std::string hear(const UniqueFd& fd) {
    char bytes[256];
    const ssize_t got = ::recv(fd.get(), bytes, sizeof bytes, 0);
    return got < 0 ? "<nothing>" : got == 0 ? "<end>" : std::string(bytes, static_cast<std::size_t>(got));
  }
};

TEST_F(VsockOverMmioTest, driver_finds_its_device_and_its_cid) {
  EXPECT_EQ(driver.get(Register::DeviceId), 19u);
  EXPECT_EQ(transport->read(0x100, 8), kCid);
  for (const auto& [queue, size] : {std::pair{0u, 256u}, {1u, 256u}, {2u, 64u}, {3u, 0u}}) {
    driver.set(Register::QueueSel, queue);
    EXPECT_EQ(driver.get(Register::QueueNumMax), size);
  }
}

TEST_F(VsockOverMmioTest, data_flows_both_ways) {
  boot();
  const UniqueFd fd = client();
  const Packet request = receive();
  ASSERT_EQ(static_cast<Op>(request.header.op.value()), Op::Request);
  EXPECT_EQ(request.header.dst_cid, kCid);
  EXPECT_EQ(request.header.dst_port, 5000u);
  send(Op::Response, request.header, "");
  EXPECT_EQ(hear(fd).substr(0, 3), "OK ");
  for (int i = 0; i < 40; ++i) {  // more than the rings are long
    const std::string text = "message " + std::to_string(i);
    say(fd, text);
    EXPECT_EQ(receive().payload, text);
    send(Op::Rw, request.header, text);
    EXPECT_EQ(hear(fd), text);
  }
  EXPECT_GT(line.edges, 0);
}

TEST_F(VsockOverMmioTest, client_before_the_driver_survives_its_first_reset) {
  const UniqueFd fd = client();
  boot();  // begins with a reset
  const Packet request = receive();
  send(Op::Response, request.header, "");
  EXPECT_EQ(hear(fd).substr(0, 3), "OK ");
}

TEST_F(VsockOverMmioTest, reset_by_the_driver_ends_connections) {
  boot();
  const UniqueFd fd = client();
  const Packet request = receive();
  send(Op::Response, request.header, "");
  EXPECT_EQ(hear(fd).substr(0, 3), "OK ");
  driver.set_status(0);
  EXPECT_EQ(driver.status(), 0u);
  EXPECT_EQ(hear(fd), "<end>");
}

TEST_F(VsockOverMmioTest, connection_survives_a_pause) {
  boot();
  const UniqueFd fd = client();
  const Packet request = receive();
  send(Op::Response, request.header, "");
  EXPECT_EQ(hear(fd).substr(0, 3), "OK ");
  loop->post([this] { transport->suspend(); });
  say(fd, "ping");
  loop->post([this] { transport->resume(); });
  EXPECT_EQ(receive().payload, "ping");
}

}  // namespace
}  // namespace vmm::virtio
