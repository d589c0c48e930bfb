#include "guest/drivers/vsock_device.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>

#include "guest/drivers/stream_services.hpp"
#include "guest/drivers/testing/fake_queue_device.hpp"
#include "vsock_test_peers.hpp"

namespace {

using abi::vsock::Queue;
using guest::drivers::QueueAddresses;
using guest::drivers::VirtioTransport;
using guest::drivers::VsockDevice;
using guest::drivers::testing::bytes_of;
using guest::drivers::testing::FakeQueueDevice;
using guest::drivers::testing::kGuestCid;
using guest::drivers::testing::MallocBuffers;
using guest::drivers::testing::MuxBench;
using guest::drivers::testing::Op;
using guest::drivers::testing::Packet;
using guest::drivers::testing::PacketHeader;
using guest::drivers::testing::RecordingListener;
using guest::drivers::testing::TestMemory;
using guest::drivers::testing::text_of;
using guest::kernel::Status;
namespace feature = abi::virtio::feature;

constexpr std::uint64_t kAllFeatures =
    feature::bit(feature::kVersion1) | feature::bit(feature::kRingEventIdx) | feature::bit(feature::kRingIndirectDesc);

/// A device with queues in test memory and no registers.
class FakeTransport final : public VirtioTransport {
 public:
  explicit FakeTransport(TestMemory& memory) : memory_(memory) {}

  guest::kernel::Result<std::uint64_t> negotiate(std::uint64_t wanted) override {
    ++negotiations;
    for (auto& queue : queues) queue.reset();
    live = false;
    if (negotiation_error != Status::Ok) return std::unexpected(negotiation_error);
    features = offered & (wanted | feature::bit(feature::kVersion1));
    return features;
  }
  std::uint32_t max_queue_size(std::uint16_t index) override { return index < 3 ? max_sizes[index] : 0; }
  Status activate_queue(std::uint16_t index, const QueueAddresses& queue) override {
    EXPECT_FALSE(live);
    queues[index].emplace(memory_, queue, (features & feature::bit(feature::kRingEventIdx)) != 0);
    return Status::Ok;
  }
  Status set_driver_ok() override {
    live = true;
    return driver_ok_status;
  }
  void set_failed() override { failed = true; }
  Status reset() override {
    for (auto& queue : queues) queue.reset();
    live = false;
    return Status::Ok;
  }
  bool needs_reset() override { return wants_reset; }
  void notify(std::uint16_t index) override {
    EXPECT_TRUE(live) << "notified before DRIVER_OK";
    ++kicks[index];
  }
  std::uint32_t acknowledge_interrupt() override { return std::exchange(causes, 0); }
  Status read_config(std::uint32_t offset, std::span<std::byte> out) override {
    EXPECT_EQ(offset, 0U);
    EXPECT_EQ(out.size(), 8U);
    const abi::Le64 value(cid);
    std::memcpy(out.data(), &value, 8);
    return Status::Ok;
  }
  FakeQueueDevice& queue(Queue index) { return *queues[static_cast<std::size_t>(index)]; }

  std::uint64_t offered = kAllFeatures;
  std::uint64_t features = 0;
  std::uint64_t cid = kGuestCid;
  std::array<std::uint32_t, 3> max_sizes{128, 128, 128};
  std::array<int, 3> kicks{};
  std::array<std::optional<FakeQueueDevice>, 3> queues;
  std::uint32_t causes = 0;
  int negotiations = 0;
  Status negotiation_error = Status::Ok;
  Status driver_ok_status = Status::Ok;
  bool live = false, failed = false, wants_reset = false;

 private:
  TestMemory& memory_;
};

struct Bench {
  explicit Bench(std::uint64_t offered = kAllFeatures, VsockDevice::Config config = {}) : transport(memory) {
    transport.offered = offered;
    device = std::make_unique<VsockDevice>(transport, memory, buffers, work, config);
    EXPECT_TRUE(device->streams().listen(MuxBench::kPort, listener));
  }
  void run() {
    for (int i = 0; i < 1000 && work.run_one(); ++i) {
    }
  }
  void interrupt(std::uint32_t causes = abi::virtio::mmio::kInterruptVring) {
    transport.causes |= causes;
    VsockDevice::interrupt_thunk(device.get());
  }
  /// Puts a packet into an rx buffer; interrupts if the driver asked for it. False: no buffer.
  bool send(const PacketHeader& header, std::span<const std::byte> payload = {}) {
    auto chain = transport.queue(Queue::Rx).take();
    if (!chain) return false;
    std::vector<std::byte> packet(sizeof(header) + payload.size());
    std::memcpy(packet.data(), &header, sizeof(header));
    std::copy(payload.begin(), payload.end(), packet.begin() + sizeof(header));
    EXPECT_EQ(transport.queue(Queue::Rx).write(*chain, packet), packet.size());
    transport.queue(Queue::Rx).push_used(chain->head, static_cast<std::uint32_t>(packet.size()));
    return true;
  }
  bool send(Op op, std::uint32_t port, std::string_view text = {}) {
    return send(MuxBench::header(op, port, static_cast<std::uint32_t>(text.size())), bytes_of(text));
  }
  /// Interrupts for what was put into any queue, if the driver asked for it, then runs the driver.
  void deliver() {
    bool wanted = false;
    for (auto& queue : transport.queues) wanted = (queue && queue->take_interrupt()) || wanted;
    if (wanted) interrupt();
    run();
  }
  /// Takes up to `limit` packets of the guest and gives their buffers back.
  std::vector<Packet> take_sent(std::size_t limit = 1000) {
    std::vector<Packet> packets;
    while (packets.size() < limit) {
      const auto chain = transport.queue(Queue::Tx).take();
      if (!chain) break;
      EXPECT_TRUE(chain->writable.empty());
      const auto bytes = transport.queue(Queue::Tx).read(*chain);
      Packet packet;
      EXPECT_GE(bytes.size(), sizeof(PacketHeader));
      std::memcpy(&packet.header, bytes.data(), sizeof(PacketHeader));
      packet.payload.assign(bytes.begin() + sizeof(PacketHeader), bytes.end());
      EXPECT_EQ(packet.header.len, packet.payload.size());
      segments_seen = std::max(segments_seen, chain->readable.size());
      packets.push_back(std::move(packet));
      transport.queue(Queue::Tx).push_used(chain->head, 0);
    }
    return packets;
  }
  guest::kernel::Stream& open(std::uint32_t port) {
    EXPECT_TRUE(send(Op::Request, port));
    deliver();
    const auto packets = take_sent();
    EXPECT_EQ(packets.size(), 1U);
    EXPECT_EQ(packets.at(0).op(), Op::Response);
    return *listener.last_stream;
  }

  TestMemory memory{16 << 20};
  FakeTransport transport;
  MallocBuffers buffers;
  guest::kernel::WorkQueue work;
  RecordingListener listener;
  std::unique_ptr<VsockDevice> device;
  std::size_t segments_seen = 0;
};

TEST(VsockDevice, start_offers_rx_and_event_buffers_and_reads_the_address) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  EXPECT_TRUE(bench.device->live());
  EXPECT_EQ(bench.device->guest_cid(), kGuestCid);
  EXPECT_EQ(bench.transport.features, kAllFeatures);
  EXPECT_EQ(bench.transport.queue(Queue::Rx).pending(), 64);
  EXPECT_EQ(bench.transport.queue(Queue::Event).pending(), 4);
  EXPECT_EQ(bench.transport.kicks, (std::array<int, 3>{1, 0, 1}));
}

TEST(VsockDevice, start_errors_are_named_and_leave_the_device_reset) {
  {
    Bench bench;
    bench.transport.negotiation_error = Status::Unsupported;
    EXPECT_EQ(bench.device->start(), Status::Unsupported);
    EXPECT_TRUE(bench.transport.failed);
  }
  {
    Bench bench;
    bench.transport.max_sizes[1] = 0;
    EXPECT_EQ(bench.device->start(), Status::NotFound);
  }
  {
    Bench bench;
    bench.transport.driver_ok_status = Status::DeviceFailed;
    EXPECT_EQ(bench.device->start(), Status::DeviceFailed);
    EXPECT_FALSE(bench.transport.live);
    EXPECT_FALSE(bench.device->live());
  }
  for (std::size_t allocations = 0; allocations < 6; ++allocations) {
    Bench bench;
    bench.memory.allocations_left = allocations;
    EXPECT_EQ(bench.device->start(), Status::NoMemory) << allocations;
    bench.memory.allocations_left = 100;
    EXPECT_EQ(bench.device->start(), Status::Ok) << "a second start must not need what the first one has";
  }
  Bench bench(kAllFeatures, {.rx_buffer_bytes = 100});
  EXPECT_EQ(bench.device->start(), Status::Invalid);
}

class Features : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Features, echo_of_a_megabyte_arrives_whole) {
  guest::drivers::EchoService echo;
  Bench bench(feature::bit(feature::kVersion1) | GetParam());
  ASSERT_TRUE(bench.device->streams().listen(7, echo));
  ASSERT_EQ(bench.device->start(), Status::Ok);
  const auto to_echo = [](Op op, std::uint32_t len, std::uint32_t fwd_cnt) {
    PacketHeader header = MuxBench::header(op, 1024, len);
    header.dst_port = 7;
    header.fwd_cnt = fwd_cnt;
    return header;
  };
  ASSERT_TRUE(bench.send(to_echo(Op::Request, 0, 0)));
  bench.deliver();
  std::mt19937 random(1);
  std::vector<std::byte> sent;
  std::vector<std::byte> received;
  std::uint32_t window = 0;
  std::uint32_t guest_fwd_cnt = 0;
  while (received.size() < (1U << 20)) {
    for (int i = 0; i < 8; ++i) {
      const auto size = static_cast<std::uint32_t>(1 + random() % 16000);
      if (window - (static_cast<std::uint32_t>(sent.size()) - guest_fwd_cnt) < size || window == 0) break;
      std::vector<std::byte> piece(size);
      for (std::byte& each : piece) each = static_cast<std::byte>(random());
      if (!bench.send(to_echo(Op::Rw, size, static_cast<std::uint32_t>(received.size())), piece)) break;
      sent.insert(sent.end(), piece.begin(), piece.end());
    }
    bench.deliver();
    const auto packets = bench.take_sent(1 + random() % 5);
    for (const Packet& packet : packets) {
      ASSERT_NE(packet.op(), Op::Rst);
      window = packet.header.buf_alloc;
      guest_fwd_cnt = packet.header.fwd_cnt;
      received.insert(received.end(), packet.payload.begin(), packet.payload.end());
    }
    bench.deliver();
    ASSERT_LE(received.size(), sent.size());
    if (packets.empty()) {
      ASSERT_TRUE(bench.send(to_echo(Op::CreditRequest, 0, static_cast<std::uint32_t>(received.size()))));
    }
  }
  EXPECT_TRUE(std::equal(received.begin(), received.end(), sent.begin()));
}

INSTANTIATE_TEST_SUITE_P(Negotiated, Features,
                         testing::Values(0, feature::bit(feature::kRingEventIdx),
                                         feature::bit(feature::kRingIndirectDesc),
                                         feature::bit(feature::kRingEventIdx) |
                                             feature::bit(feature::kRingIndirectDesc)));

TEST(VsockDevice, large_write_is_one_packet_of_one_piece_while_memory_is_in_order) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  auto& stream = bench.open(1);
  const std::string text(60'000, 'x');
  EXPECT_EQ(stream.write(bytes_of(text)), text.size());
  bench.run();
  const auto packets = bench.take_sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(text_of(packets[0].payload), text);
  EXPECT_EQ(bench.segments_seen, 1U);
}

TEST(VsockDevice, scattered_pages_still_carry_a_packet_whole) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  auto& stream = bench.open(1);
  // Small packets take a page each; giving back every other one first leaves the free list out of order.
  for (int i = 0; i < 100; ++i) ASSERT_EQ(stream.write(bytes_of("x")), 1U);
  bench.run();
  std::vector<FakeQueueDevice::Chain> chains;
  while (auto chain = bench.transport.queue(Queue::Tx).take()) chains.push_back(*chain);
  ASSERT_EQ(chains.size(), 100U);
  for (const std::size_t start : {0U, 1U}) {
    for (std::size_t i = start; i < chains.size(); i += 2)
      bench.transport.queue(Queue::Tx).push_used(chains[i].head, 0);
  }
  std::string text(200'000, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  std::string rest = text;
  std::string received;
  while (received.size() < text.size()) {
    rest.erase(0, stream.write(bytes_of(rest)));
    bench.deliver();
    for (const Packet& packet : bench.take_sent()) received += text_of(packet.payload);
  }
  EXPECT_EQ(received, text);
  EXPECT_GT(bench.segments_seen, 1U) << "the test did not scatter anything";
}

TEST(VsockDevice, writer_stopped_by_a_full_queue_is_woken_by_the_device) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  auto& stream = bench.open(1);
  PacketHeader update = MuxBench::header(Op::CreditUpdate, 1);
  update.buf_alloc = 64 << 20;
  ASSERT_TRUE(bench.send(update));
  bench.deliver();
  auto& handler = bench.listener.handler();
  handler.to_send = std::string(4 << 20, 'x');
  handler.pump(stream);
  bench.run();
  EXPECT_GT(handler.to_send.size(), 2U << 20) << "the pool is 1 MiB";
  std::size_t received = 0;
  int rounds = 0;
  while (received < (4U << 20) && ++rounds < 10'000) {
    for (const Packet& packet : bench.take_sent()) received += packet.payload.size();
    bench.deliver();
  }
  EXPECT_EQ(received, 4U << 20);
  EXPECT_GT(bench.device->counters().tx_stalls.value(), 0U);
}

TEST(VsockDevice, rx_buffers_are_always_given_back) {
  Bench bench;
  bench.listener.hold = true;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  bench.open(1);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(bench.send(Op::Rw, 1, "unread")) << i;
    bench.deliver();
    ASSERT_EQ(bench.transport.queue(Queue::Rx).pending(), 64);
  }
}

TEST(VsockDevice, burst_of_packets_needs_one_interrupt_and_one_kick) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  bench.open(1);
  bench.transport.queue(Queue::Rx).want_kicks(true);
  const std::uint64_t interrupts = bench.device->counters().interrupts.value();
  const std::uint64_t kicks = bench.device->counters().kicks.value();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(bench.send(Op::Rw, 1, "data"));
  bench.deliver();
  EXPECT_EQ(bench.listener.handler().received.size(), 200U);
  EXPECT_EQ(bench.device->counters().interrupts.value(), interrupts + 1);
  EXPECT_EQ(bench.device->counters().kicks.value(), kicks + 1);
}

TEST(VsockDevice, drained_when_the_device_has_taken_everything) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  auto& stream = bench.open(1);
  EXPECT_TRUE(bench.device->streams().drained());
  bench.transport.queue(Queue::Tx).want_kicks(true);
  const int kicks = bench.transport.kicks[1];
  EXPECT_EQ(stream.write(bytes_of("bye")), 3U);
  EXPECT_FALSE(bench.device->streams().drained());
  EXPECT_EQ(bench.transport.kicks[1], kicks + 1) << "waiting for a device that was not told never ends";
  bench.take_sent();
  EXPECT_TRUE(bench.device->streams().drained());
}

TEST(VsockDevice, transport_reset_event_closes_streams_and_takes_the_new_address) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  bench.open(1);
  bench.transport.cid = 77;
  const auto chain = bench.transport.queue(Queue::Event).take();
  ASSERT_TRUE(chain.has_value());
  bench.transport.queue(Queue::Event).write(*chain, std::vector<std::byte>(4));
  bench.transport.queue(Queue::Event).push_used(chain->head, 4);
  bench.deliver();
  EXPECT_EQ(bench.listener.handler().closed, 1);
  EXPECT_EQ(bench.device->guest_cid(), 77U);
  EXPECT_EQ(bench.device->counters().transport_resets.value(), 1U);
  EXPECT_EQ(bench.transport.queue(Queue::Event).pending(), 4) << "the event's buffer is offered again";
  EXPECT_TRUE(bench.take_sent().empty());
}

TEST(VsockDevice, short_or_unknown_event_changes_nothing) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  bench.open(1);
  for (const std::uint32_t written : {0U, 3U, 4U}) {
    const auto chain = bench.transport.queue(Queue::Event).take();
    ASSERT_TRUE(chain.has_value());
    bench.transport.queue(Queue::Event).write(*chain, bytes_of("\x01\x02\x03\x04"));
    bench.transport.queue(Queue::Event).push_used(chain->head, written);
    bench.deliver();
  }
  EXPECT_EQ(bench.listener.handler().closed, 0);
}

TEST(VsockDeviceHostile, broken_queue_resets_the_device_and_listeners_serve_again) {
  for (const Queue index : {Queue::Rx, Queue::Tx, Queue::Event}) {
    Bench bench;
    ASSERT_EQ(bench.device->start(), Status::Ok);
    bench.open(1);
    bench.transport.queue(index).push_used(9999, 0);
    bench.interrupt();
    bench.run();
    EXPECT_EQ(bench.device->counters().device_faults.value(), 1U);
    EXPECT_EQ(bench.listener.handler().closed, 1);
    EXPECT_EQ(bench.transport.negotiations, 2);
    ASSERT_TRUE(bench.device->live());
    bench.open(2);
  }
}

TEST(VsockDeviceHostile, device_that_fails_again_and_again_is_given_up) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  for (int i = 0; i < 10 && bench.device->live(); ++i) {
    bench.transport.queue(Queue::Rx).push_used(9999, 0);
    bench.interrupt();
    bench.run();
  }
  EXPECT_FALSE(bench.device->live());
  EXPECT_TRUE(bench.transport.failed);
  EXPECT_EQ(bench.device->counters().device_faults.value(), 4U);
  bench.interrupt();
  bench.run();
}

TEST(VsockDeviceHostile, device_that_asks_for_a_reset_gets_one) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  bench.open(1);
  bench.transport.wants_reset = true;
  bench.interrupt(abi::virtio::mmio::kInterruptConfig);
  bench.transport.wants_reset = true;
  bench.run();
  EXPECT_EQ(bench.listener.handler().closed, 1);
  EXPECT_GE(bench.transport.negotiations, 2);
}

TEST(VsockDeviceHostile, interrupt_without_cause_does_nothing) {
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  bench.run();
  const std::uint64_t runs = bench.work.runs();
  bench.interrupt(0);
  bench.run();
  EXPECT_EQ(bench.work.runs(), runs);
}

TEST(VsockDeviceHostile, packet_changed_after_its_delivery_is_not_read_twice) {
  // The header is copied once: a device that rewrites it while it is handled changes nothing. Here: before the run.
  Bench bench;
  ASSERT_EQ(bench.device->start(), Status::Ok);
  bench.open(1);
  PacketHeader header = MuxBench::header(Op::Rw, 1, 0xFFFF'FFFF);
  ASSERT_TRUE(bench.send(header, bytes_of("abc")));
  bench.deliver();
  EXPECT_EQ(bench.listener.handler().received, "");
  EXPECT_EQ(bench.device->counters().drop_length.value(), 1U);
}

}  // namespace
