#include "vmm/devices/vsock/muxer.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "fake_stream.hpp"

namespace vmm::vsock {
namespace {

constexpr std::uint64_t kGuestCid = 42;
constexpr ClientId kClient = 1234;

struct FakeConnector final : Connector {
  std::deque<FakePeer> peers;
  std::uint32_t listens_on = 7000;
  std::unique_ptr<Stream> connect(std::uint32_t port) override {
    if (port != listens_on) return nullptr;
    return stream_to(peers.emplace_back());
  }
};

struct MuxerTest : ::testing::Test {
  FakeConnector connector;
  Counters counters;
  std::deque<FakePeer> peers;
  TimePoint now{};
  Limits limits;
  std::optional<Muxer> muxer;

  void SetUp() override { make({}); }
  void make(const Limits& with) {
    limits = with;
    muxer.emplace(kGuestCid, with, connector, counters, [this] { return now; });
  }
  FakePeer& connect(std::uint32_t port = 5000, ClientId client = kClient) {
    FakePeer& peer = peers.emplace_back();
    muxer->connect_from_host(stream_to(peer), port, client);
    return peer;
  }
  Seen take() {
    const PacketRoom room(256);
    virtio::Writer writer = room.writer();
    if (!muxer->produce(writer)) return {};
    return room.seen(writer.consumed());
  }
  static PacketHeader header(Op op, std::uint32_t guest_port, std::uint32_t host_port, std::uint32_t length = 0) {
    PacketHeader made{};
    made.src_cid = kGuestCid;
    made.dst_cid = abi::vsock::kHostCid;
    made.src_port = guest_port;
    made.dst_port = host_port;
    made.len = length;
    made.type = abi::vsock::kTypeStream;
    made.op = static_cast<std::uint16_t>(op);
    made.buf_alloc = 1 << 16;
    return made;
  }
  void give(const PacketHeader& packet_header, std::string_view payload = "") {
    const GuestPacket packet(packet_header, payload);
    virtio::Reader reader = packet.reader();
    muxer->handle_packet(reader);
  }
  /// A connection that the guest accepted; its host port.
  std::uint32_t establish(FakePeer*& peer) {
    peer = &connect();
    const Seen request = take();
    EXPECT_EQ(request.op(), Op::Request);
    give(header(Op::Response, 5000, request.header.src_port));
    return request.header.src_port;
  }
};

TEST_F(MuxerTest, two_clients_get_different_host_ports) {
  connect();
  connect();
  const Seen first = take();
  const Seen second = take();
  EXPECT_EQ(first.op(), Op::Request);
  EXPECT_EQ(second.op(), Op::Request);
  EXPECT_NE(first.header.src_port, second.header.src_port);
  EXPECT_EQ(counters.open, 2u);
}

TEST_F(MuxerTest, packets_reach_their_connection_only) {
  FakePeer* first = nullptr;
  FakePeer* second = nullptr;
  establish(first);
  const std::uint32_t port = establish(second);
  give(header(Op::Rw, 5000, port, 2), "hi");
  EXPECT_EQ(first->from_guest, "");
  EXPECT_EQ(second->from_guest, "hi");
}

TEST_F(MuxerTest, connections_with_data_take_turns) {
  FakePeer* first = nullptr;
  FakePeer* second = nullptr;
  const std::uint32_t first_port = establish(first);
  const std::uint32_t second_port = establish(second);
  first->to_guest = std::string(1000, 'a');
  second->to_guest = std::string(1000, 'b');
  first->callback({.readable = true});
  second->callback({.readable = true});
  std::vector<std::uint32_t> order;
  for (int i = 0; i < 4; ++i) order.push_back(take().header.src_port);
  EXPECT_EQ(order, (std::vector{first_port, second_port, first_port, second_port}));
}

TEST_F(MuxerTest, connection_without_credit_does_not_hold_up_another) {
  FakePeer* blocked = nullptr;
  FakePeer* other = nullptr;
  const std::uint32_t port = establish(blocked);
  establish(other);
  PacketHeader no_room = header(Op::CreditUpdate, 5000, port);
  no_room.buf_alloc = 0;
  give(no_room);
  blocked->to_guest = "x";
  blocked->callback({.readable = true});
  other->to_guest = "y";
  other->callback({.readable = true});
  std::string payloads;
  for (Seen packet = take(); packet.op() != Op::Invalid; packet = take()) payloads += packet.payload;
  EXPECT_EQ(payloads, "y");
}

TEST_F(MuxerTest, packet_for_no_connection_is_answered_with_a_reset) {
  give(header(Op::Rw, 5000, 99, 1), "x");
  const Seen reset = take();
  EXPECT_EQ(reset.op(), Op::Rst);
  EXPECT_EQ(reset.header.src_port, 99u);
  EXPECT_EQ(reset.header.dst_port, 5000u);
  EXPECT_EQ(counters.drop_no_connection, 1u);
}

TEST_F(MuxerTest, reset_for_no_connection_is_not_answered) {
  give(header(Op::Rst, 5000, 99));
  EXPECT_FALSE(muxer->has_output());
}

TEST_F(MuxerTest, forged_source_is_dropped_without_an_answer) {
  PacketHeader forged = header(Op::Request, 1, 7000);
  forged.src_cid = kGuestCid + 1;
  give(forged);
  EXPECT_EQ(counters.drop_bad_source, 1u);
  EXPECT_FALSE(muxer->has_output());
  EXPECT_TRUE(connector.peers.empty());
}

TEST_F(MuxerTest, other_destination_is_refused_from_that_address) {
  PacketHeader elsewhere = header(Op::Request, 1, 7000);
  elsewhere.dst_cid = 77;
  give(elsewhere);
  const Seen reset = take();
  EXPECT_EQ(reset.op(), Op::Rst);
  EXPECT_EQ(reset.header.src_cid, 77u);
  EXPECT_EQ(counters.drop_bad_destination, 1u);
}

TEST_F(MuxerTest, datagrams_are_refused) {
  PacketHeader datagram = header(Op::Rw, 1, 7000);
  datagram.type = 3;
  give(datagram);
  EXPECT_EQ(take().op(), Op::Rst);
  EXPECT_EQ(counters.drop_bad_type, 1u);
}

TEST_F(MuxerTest, bad_reset_is_not_answered) {
  PacketHeader reset = header(Op::Rst, 1, 7000);
  reset.type = 3;
  give(reset);
  EXPECT_EQ(counters.drop_bad_type, 1u);
  EXPECT_FALSE(muxer->has_output());
}

TEST_F(MuxerTest, unknown_operation_ends_its_connection) {
  FakePeer* peer = nullptr;
  const std::uint32_t port = establish(peer);
  give(header(static_cast<Op>(8), 5000, port));
  EXPECT_TRUE(peer->destroyed);
  EXPECT_EQ(take().op(), Op::Rst);
  EXPECT_FALSE(muxer->has_output());
  EXPECT_EQ(counters.drop_bad_operation, 1u);
  EXPECT_EQ(counters.reset_by_host, 1u);
}

TEST_F(MuxerTest, length_beyond_the_packet_ends_its_connection) {
  FakePeer* peer = nullptr;
  const std::uint32_t port = establish(peer);
  give(header(Op::Rw, 5000, port, 3), "ab");
  EXPECT_TRUE(peer->destroyed);
  EXPECT_EQ(peer->from_guest, "");
  EXPECT_EQ(counters.drop_short_packet, 1u);
}

TEST_F(MuxerTest, packet_shorter_than_a_header_is_dropped) {
  std::string bytes(43, 'x');
  const GuestSlice slice(std::as_writable_bytes(std::span(bytes)).data(), bytes.size());
  virtio::Reader reader(std::span(&slice, 1));
  muxer->handle_packet(reader);
  EXPECT_EQ(counters.drop_short_packet, 1u);
  EXPECT_FALSE(muxer->has_output());
}

TEST_F(MuxerTest, guest_connects_to_a_listener_of_the_host) {
  give(header(Op::Request, 1, 7000));
  EXPECT_EQ(take().op(), Op::Response);
  give(header(Op::Rw, 1, 7000, 2), "hi");
  ASSERT_EQ(connector.peers.size(), 1u);
  EXPECT_EQ(connector.peers[0].from_guest, "hi");
  EXPECT_EQ(counters.connections_from_guest, 1u);
}

TEST_F(MuxerTest, guest_connecting_to_nobody_is_reset) {
  give(header(Op::Request, 1, 7001));
  EXPECT_EQ(take().op(), Op::Rst);
  EXPECT_EQ(counters.refused_by_host, 1u);
}

TEST_F(MuxerTest, flood_of_requests_stops_at_the_guests_share) {
  make({.connections = 20, .connections_per_client = 10});
  for (std::uint32_t port = 0; port < 100; ++port) give(header(Op::Request, port, 7000));
  EXPECT_EQ(counters.connections_from_guest, 10u);
  EXPECT_EQ(counters.refused_by_host, 90u);
  FakePeer& client = connect();
  EXPECT_EQ(client.refusal, "");
}

TEST_F(MuxerTest, waiting_resets_are_bounded) {
  make({.waiting_resets = 8});
  std::uint32_t port = 0;
  while (muxer->can_accept_packet()) give(header(Op::Rw, port++, 99));
  EXPECT_EQ(port, 8u);
  EXPECT_EQ(take().op(), Op::Rst);
  EXPECT_TRUE(muxer->can_accept_packet());
}

TEST_F(MuxerTest, request_and_reset_in_a_loop_leaves_nothing_behind) {
  for (int i = 0; i < 10'000; ++i) {
    give(header(Op::Request, 1, 7000));
    give(header(Op::Rst, 1, 7000));
  }
  EXPECT_EQ(counters.open, 0u);
  EXPECT_EQ(muxer->connection_count(), 0u);
  EXPECT_FALSE(muxer->has_output());
  EXPECT_EQ(counters.reset_by_guest, 10'000u);
}

TEST_F(MuxerTest, client_over_its_quota_is_refused_and_another_is_not) {
  make({.connections = 100, .connections_per_client = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(connect().refusal, "");
  EXPECT_NE(connect().refusal, "");
  EXPECT_EQ(connect(5000, kClient + 1).refusal, "");
  EXPECT_EQ(counters.clients_refused_quota, 1u);
}

TEST_F(MuxerTest, quota_is_free_again_after_a_close) {
  make({.connections = 100, .connections_per_client = 1});
  FakePeer& first = connect();
  first.callback({.hangup = true});
  EXPECT_EQ(counters.abandoned, 1u);
  EXPECT_EQ(connect().refusal, "");
}

TEST_F(MuxerTest, buffers_become_small_when_many_are_open) {
  make({.buffer = 1000, .buffer_small = 10, .buffer_total = 2000});
  for (int i = 0; i < 3; ++i) connect();
  EXPECT_EQ(take().header.buf_alloc, 1000u);
  EXPECT_EQ(take().header.buf_alloc, 1000u);
  EXPECT_EQ(take().header.buf_alloc, 10u);
}

TEST_F(MuxerTest, guest_reset_ends_connections_and_keeps_waiting_clients) {
  FakePeer* open = nullptr;
  establish(open);
  FakePeer& waiting = connect();
  take();
  give(header(Op::Rw, 1, 99));  // leaves a reset waiting
  muxer->guest_reset();
  EXPECT_TRUE(open->destroyed);
  EXPECT_FALSE(waiting.destroyed);
  const Seen again = take();
  EXPECT_EQ(again.op(), Op::Request);
  EXPECT_FALSE(muxer->has_output());
}

TEST_F(MuxerTest, expire_refuses_a_client_whose_guest_is_silent) {
  FakePeer& client = connect();
  EXPECT_FALSE(muxer->has_deadlines());
  take();
  EXPECT_TRUE(muxer->has_deadlines());
  now += limits.request_timeout;
  muxer->expire();
  EXPECT_NE(client.refusal, "");
  EXPECT_EQ(take().op(), Op::Rst);
  EXPECT_EQ(counters.timed_out, 1u);
  EXPECT_FALSE(muxer->has_deadlines());
}

TEST_F(MuxerTest, every_connection_ends_in_exactly_one_counter) {
  FakePeer* peer = nullptr;
  give(header(Op::Rst, 5000, establish(peer)));      // reset by the guest
  give(header(Op::Request, 5000, establish(peer)));  // violation
  take();
  connect();
  give(header(Op::Rst, 5000, take().header.src_port));  // refused
  connect();
  muxer->close_all("bye");
  EXPECT_EQ(peers.back().refusal, "bye");
  EXPECT_EQ(counters.connections_from_host, 4u);
  EXPECT_EQ(counters.reset_by_guest + counters.reset_by_host + counters.refused_by_guest, 4u);
  EXPECT_EQ(counters.open, 0u);
}

TEST_F(MuxerTest, output_callback_follows_a_stream_event) {
  int calls = 0;
  muxer->on_output([&] { ++calls; });
  FakePeer* peer = nullptr;
  establish(peer);
  EXPECT_EQ(calls, 1);
  peer->to_guest = "x";
  peer->callback({.readable = true});
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace vmm::vsock
