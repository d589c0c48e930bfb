// Thousands of random operations of an honest but busy host on many streams, over a link that is full now and then,
// against a model that knows what each side must have received. Credit, order and ends are checked at every packet.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "vsock_test_peers.hpp"

namespace {

using abi::vsock::kShutdownReceive;
using abi::vsock::kShutdownSend;
using guest::drivers::testing::kGuestCid;
using guest::drivers::testing::MuxBench;
using guest::drivers::testing::Op;
using guest::drivers::testing::Packet;
using guest::drivers::testing::PacketHeader;

constexpr std::uint32_t kBothWays = kShutdownReceive | kShutdownSend;

char stream_byte(std::uint32_t port, std::uint32_t position, bool from_host) {
  return static_cast<char>(position * 7 + port * 13 + (from_host ? 3 : 0) + (position >> 8));
}

/// `bytes` are those of the stream at `position`.
bool matches(std::span<const std::byte> bytes, std::uint32_t port, std::uint32_t position, bool from_host) {
  for (const std::byte each : bytes) {
    if (static_cast<char>(each) != stream_byte(port, position++, from_host)) return false;
  }
  return true;
}

/// The guest's user of a stream: reads and writes at random, checks what it reads.
struct User final : guest::kernel::StreamHandler {
  void on_readable(guest::kernel::Stream&) override { ASSERT_FALSE(closed); }
  void on_writable(guest::kernel::Stream&) override { ASSERT_FALSE(closed); }
  void on_closed(guest::kernel::Stream&) override {
    ASSERT_FALSE(closed);
    closed = true;
  }
  guest::kernel::Stream* stream = nullptr;
  std::uint32_t port = 0;
  std::uint32_t read = 0;
  std::uint32_t written = 0;
  bool closed = false;
  bool finished = false;  ///< close(), reset() was called
};

struct Listener final : guest::kernel::StreamListener {
  guest::kernel::StreamHandler* on_connect(guest::kernel::Stream& stream, std::uint32_t peer_port) override {
    auto& user = users[peer_port] = std::make_unique<User>();
    user->stream = &stream;
    user->port = peer_port;
    return user.get();
  }
  std::map<std::uint32_t, std::unique_ptr<User>> users;
};

/// The host's side of a stream.
struct HostStream {
  bool open = false;           ///< RESPONSE seen
  bool over = false;           ///< RST seen or sent
  std::uint32_t sent = 0;      ///< tx_cnt
  std::uint32_t received = 0;  ///< rx_cnt
  std::uint32_t taken = 0;     ///< fwd_cnt
  std::uint32_t guest_window = 0;
  std::uint32_t guest_fwd = 0;
  std::uint32_t window = 0;
  std::uint32_t shutdown = 0;
  std::uint32_t guest_shutdown = 0;
};

class Model : public testing::TestWithParam<unsigned> {
 protected:
  Model() : random_(GetParam()) { EXPECT_TRUE(bench_.mux->listen(kPort, listener_)); }

  static constexpr std::uint32_t kPort = 7000;
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

  void host_send(std::uint32_t port, Op op, std::uint32_t flags = 0, std::uint32_t len = 0) {
    HostStream& host = hosts_[port];
    const PacketHeader header{.src_cid = 2,
                              .dst_cid = kGuestCid,
                              .src_port = port,
                              .dst_port = kPort,
                              .len = len,
                              .type = 1,
                              .op = static_cast<std::uint16_t>(op),
                              .flags = flags,
                              .buf_alloc = host.window,
                              .fwd_cnt = host.taken};
    std::vector<std::byte> payload(len);
    for (std::uint32_t i = 0; i < len; ++i) payload[i] = static_cast<std::byte>(stream_byte(port, host.sent + i, true));
    host.sent += len;
    bench_.receive(header, payload);
  }

  void check_packet(const Packet& packet) {
    const PacketHeader& header = packet.header;
    ASSERT_EQ(header.src_cid, kGuestCid);
    ASSERT_EQ(header.src_port, kPort);
    const std::uint32_t port = header.dst_port;
    ASSERT_TRUE(hosts_.contains(port));
    HostStream& host = hosts_[port];
    if (packet.op() == Op::Rst) {
      host.over = true;
      return;
    }
    ASSERT_FALSE(host.over) << "a packet after the end";
    ASSERT_TRUE(host.open || packet.op() == Op::Response);
    ASSERT_LE(header.fwd_cnt - host.guest_fwd, host.sent - host.guest_fwd) << "credit for bytes never sent";
    host.guest_fwd = header.fwd_cnt;
    host.guest_window = header.buf_alloc;
    switch (packet.op()) {
      case Op::Response:
        ASSERT_FALSE(host.open);
        host.open = true;
        break;
      case Op::Rw:
        ASSERT_EQ(host.guest_shutdown & kShutdownSend, 0U) << "data after SHUTDOWN";
        ASSERT_TRUE(matches(packet.payload, port, host.received, false));
        host.received += header.len;
        ASSERT_LE(host.received - host.taken, host.window) << "more than the host's window";
        break;
      case Op::Shutdown:
        host.guest_shutdown |= header.flags;
        break;
      case Op::CreditUpdate:
      case Op::CreditRequest:
        break;
      default:
        FAIL() << "operation " << static_cast<int>(packet.op());
    }
  }

  void host_step() {
    take_sent();  // what was sent before is seen before
    const std::uint32_t port = pick(40);
    HostStream& host = hosts_[port];
    if (host.over || host.window == 0) {  // a new connection on a port of its own, used once
      if (listener_.users.contains(port) && !host.over) return;
      if (listener_.users.contains(port) && !listener_.users[port]->closed) return;
      host = {};
      host.window = 1 + pick(5'000);
      host_send(port, Op::Request);
      return;
    }
    if (!host.open) return;
    const std::uint32_t free = host.guest_window - (host.sent - host.guest_fwd);
    switch (pick(12)) {
      case 0:
        return host_send(port, Op::CreditRequest);
      case 1:
        host.taken += pick(host.received - host.taken + 1);
        return host_send(port, Op::CreditUpdate);
      case 2:
        if (pick(10) != 0) return;
        host.shutdown |= pick(4);
        return host_send(port, Op::Shutdown, host.shutdown);
      case 3:
        if (pick(20) != 0) return;
        host.over = true;
        return host_send(port, Op::Rst);
      default:
        if ((host.shutdown & kShutdownSend) == 0 && free != 0)
          host_send(port, Op::Rw, 0, 1 + pick(std::min(free, 2'000U)));
    }
    if (host.guest_shutdown == kBothWays && pick(2) == 0) {
      host.over = true;
      host_send(port, Op::Rst);
    }
  }

  void user_step() {
    if (listener_.users.empty()) return;
    auto at = listener_.users.begin();
    std::advance(at, pick(static_cast<std::uint32_t>(listener_.users.size())));
    User& user = *at->second;
    if (user.closed || user.finished) return;
    switch (pick(20)) {
      case 0:
        if (pick(5) != 0) return;
        user.finished = true;
        return pick(2) == 0 ? user.stream->close() : user.stream->reset();
      case 1:
        if (pick(5) == 0) user.stream->finish_sending();
        return;
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
      case 7: {
        std::vector<std::byte> data(1 + pick(3'000));
        for (std::uint32_t i = 0; i < data.size(); ++i) {
          data[i] = static_cast<std::byte>(stream_byte(user.port, user.written + i, false));
        }
        const bool ended = user.stream->send_ended();
        const std::size_t count = user.stream->write(data);
        ASSERT_TRUE(!ended || count == 0);
        user.written += static_cast<std::uint32_t>(count);
        return;
      }
      default: {
        std::vector<std::byte> buffer(1 + pick(3'000));
        const std::size_t count = user.stream->read(buffer);
        ASSERT_TRUE(matches(std::span(buffer).first(count), user.port, user.read, true));
        user.read += static_cast<std::uint32_t>(count);
      }
    }
  }

  void guest_step() {
    bench_.link.room_packets = pick(4) == 0 ? 0 : pick(10);
    bench_.link.largest_payload = 100 + pick(6'000);
    bench_.mux->service();
    take_sent();
  }

  void take_sent() {
    for (const Packet& packet : bench_.link.sent) check_packet(packet);
    bench_.link.sent.clear();
  }

  // Small windows, so that credit runs out often; large ones only for the first.
  MuxBench bench_{{.window_bytes = 16 * 1024, .small_window_bytes = 3'000, .large_windows_total_bytes = 160 * 1024}};
  Listener listener_;
  std::map<std::uint32_t, HostStream> hosts_;
  std::mt19937 random_;
};

TEST_P(Model, every_byte_arrives_in_order_within_credit) {
  for (int step = 0; step < 20'000 && !HasFatalFailure(); ++step) {
    switch (pick(3)) {
      case 0:
        if (bench_.mux->can_receive()) host_step();
        break;
      case 1:
        user_step();
        break;
      default:
        guest_step();
    }
  }
  if (HasFatalFailure()) return;

  // An honest host gives no reason for a complaint.
  EXPECT_EQ(bench_.counters.credit_violations.value(), 0U);
  EXPECT_EQ(bench_.counters.stale_credit.value(), 0U);
  EXPECT_EQ(bench_.counters.drop_length.value(), 0U);
  EXPECT_EQ(bench_.counters.no_memory.value(), 0U);
  EXPECT_GT(bench_.counters.rx_bytes.value(), 500'000U);
  EXPECT_GT(bench_.counters.tx_bytes.value(), 100'000U);
  EXPECT_GT(bench_.counters.opened.value(), 20U);

  // In the end everything goes away.
  bench_.link.room_packets = 1'000'000;
  for (auto& [port, user] : listener_.users) {
    if (!user->closed) user->stream->reset();
  }
  bench_.mux->service();
  for (auto& [port, user] : listener_.users) EXPECT_TRUE(user->closed);
  for (auto& [port, host] : hosts_) {
    if (bench_.mux->can_receive()) host_send(port, Op::Rst);
  }
  EXPECT_EQ(bench_.counters.connections.value(), 0U);
  EXPECT_TRUE(bench_.memory.blocks.empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Model, testing::Range(1U, 7U));

}  // namespace
