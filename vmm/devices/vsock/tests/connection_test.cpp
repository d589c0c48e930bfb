#include "vmm/devices/vsock/connection.hpp"

#include <gtest/gtest.h>

#include "fake_stream.hpp"

namespace vmm::vsock {
namespace {

constexpr std::uint64_t kPeerCid = 42;
constexpr ConnectionKey kKey{.host_port = 1u << 30, .guest_port = 5000};
constexpr std::uint32_t kOurBuffer = 1000;
constexpr std::uint32_t kGuestBuffer = 500;
constexpr Events kReadable{.readable = true};
constexpr Events kWritable{.writable = true};
constexpr Events kHangup{.readable = true, .hangup = true};

struct ConnectionTest : ::testing::Test {
  FakePeer peer;
  Counters counters;
  TimePoint now{};
  std::unique_ptr<Connection> connection;
  std::uint32_t guest_fwd = 0;
  std::uint32_t guest_buffer = kGuestBuffer;

  static ConnectionConfig config() { return {.key = kKey, .guest_cid = kPeerCid, .buf_alloc_bytes = kOurBuffer}; }
  void start_from_host() { connection = Connection::from_host(config(), stream_to(peer), counters); }
  /// A connection that both sides have agreed to.
  void establish() {
    start_from_host();
    ASSERT_EQ(take().op(), Op::Request);
    give(Op::Response);
    ASSERT_TRUE(connection->established());
  }

  /// The guest sends a packet.
  void give(Op op, std::string_view payload = "", std::uint32_t flags = 0) {
    PacketHeader header;
    header.src_cid = kPeerCid;
    header.dst_cid = abi::vsock::kHostCid;
    header.src_port = kKey.guest_port;
    header.dst_port = kKey.host_port;
    header.len = static_cast<std::uint32_t>(payload.size());
    header.type = abi::vsock::kTypeStream;
    header.op = static_cast<std::uint16_t>(op);
    header.flags = flags;
    header.buf_alloc = guest_buffer;
    header.fwd_cnt = guest_fwd;
    const GuestPacket packet(header, payload);
    virtio::Reader reader = packet.reader();
    ReceivedPacket received{};
    ASSERT_TRUE(read_packet(reader, kPeerCid, received));
    connection->handle(received, reader, now);
  }
  /// The next packet to the guest; Op::Invalid if there is none.
  Seen take(std::size_t room_bytes = 4096) {
    const PacketRoom room(room_bytes);
    virtio::Writer writer = room.writer();
    if (!connection->produce(writer, now)) return {};
    return room.seen(writer.consumed());
  }
  void event(Events events) { connection->stream_event(events); }
};

TEST_F(ConnectionTest, host_request_carries_ports_and_credit) {
  start_from_host();
  EXPECT_TRUE(connection->has_output());
  const Seen request = take();
  EXPECT_EQ(request.op(), Op::Request);
  EXPECT_EQ(request.header.src_cid, abi::vsock::kHostCid);
  EXPECT_EQ(request.header.dst_cid, kPeerCid);
  EXPECT_EQ(request.header.src_port, kKey.host_port);
  EXPECT_EQ(request.header.dst_port, kKey.guest_port);
  EXPECT_EQ(request.header.buf_alloc, kOurBuffer);
  EXPECT_FALSE(connection->has_output());
}

TEST_F(ConnectionTest, response_opens_the_stream) {
  establish();
  EXPECT_EQ(peer.opened_port, kKey.host_port);
  EXPECT_EQ(peer.watched, Interest::Read);
}

TEST_F(ConnectionTest, reset_refuses_a_request_with_a_reason) {
  start_from_host();
  take();
  give(Op::Rst);
  EXPECT_TRUE(connection->finished());
  EXPECT_EQ(connection->end(), End::RefusedByGuest);
  EXPECT_FALSE(peer.refusal.empty());
  EXPECT_EQ(peer.opened_port, 0u);
}

TEST_F(ConnectionTest, response_to_a_request_not_yet_sent_is_a_violation) {
  start_from_host();
  give(Op::Response);
  EXPECT_EQ(connection->end(), End::ResetByHost);
  EXPECT_EQ(counters.drop_bad_operation, 1u);
  EXPECT_FALSE(peer.refusal.empty());
}

TEST_F(ConnectionTest, unanswered_request_times_out) {
  start_from_host();
  take();
  ASSERT_TRUE(connection->deadline());
  connection->expire(*connection->deadline() - std::chrono::milliseconds(1));
  EXPECT_EQ(connection->end(), End::None);
  connection->expire(*connection->deadline());
  EXPECT_EQ(connection->end(), End::TimedOut);
  EXPECT_FALSE(peer.refusal.empty());
  EXPECT_EQ(take().op(), Op::Rst);
}

TEST_F(ConnectionTest, request_not_delivered_never_times_out) {
  start_from_host();
  EXPECT_FALSE(connection->deadline());
}

TEST_F(ConnectionTest, client_that_leaves_before_the_answer_is_abandoned) {
  start_from_host();
  EXPECT_EQ(peer.watched, Interest::Hangup);
  take();
  event(kHangup);
  EXPECT_EQ(connection->end(), End::Abandoned);
  EXPECT_EQ(take().op(), Op::Rst);
  EXPECT_TRUE(connection->finished());
}

TEST_F(ConnectionTest, client_that_leaves_before_the_request_costs_the_guest_nothing) {
  start_from_host();
  event(kHangup);
  EXPECT_TRUE(connection->finished());
}

TEST_F(ConnectionTest, guest_reset_keeps_an_unanswered_request_for_the_next_driver) {
  start_from_host();
  take();
  connection->guest_reset();
  EXPECT_EQ(connection->end(), End::None);
  EXPECT_FALSE(connection->deadline());
  EXPECT_EQ(take().op(), Op::Request);
}

TEST_F(ConnectionTest, guest_reset_ends_an_established_connection) {
  establish();
  connection->guest_reset();
  EXPECT_TRUE(connection->finished());
  EXPECT_EQ(connection->end(), End::ResetByHost);
  EXPECT_TRUE(peer.destroyed);
}

TEST_F(ConnectionTest, data_of_the_client_reaches_the_guest) {
  establish();
  peer.to_guest = "hello";
  event(kReadable);
  const Seen data = take();
  EXPECT_EQ(data.op(), Op::Rw);
  EXPECT_EQ(data.payload, "hello");
  EXPECT_EQ(data.header.len, 5u);
  EXPECT_EQ(counters.rx_bytes, 5u);
  EXPECT_EQ(peer.watched, Interest::Read);
}

TEST_F(ConnectionTest, data_is_cut_to_the_rx_buffer) {
  establish();
  peer.to_guest = "abcdefgh";
  event(kReadable);
  EXPECT_EQ(take(sizeof(PacketHeader) + 3).payload, "abc");
  EXPECT_EQ(take().payload, "defgh");
}

TEST_F(ConnectionTest, data_is_cut_to_the_credit_and_goes_on_with_more) {
  establish();
  peer.to_guest = std::string(kGuestBuffer + 100, 'x');
  event(kReadable);
  EXPECT_EQ(take().payload.size(), kGuestBuffer);
  EXPECT_EQ(take().op(), Op::CreditRequest);
  EXPECT_EQ(take().op(), Op::Invalid);
  EXPECT_FALSE(connection->has_output());
  EXPECT_EQ(peer.watched, Interest::None);
  guest_fwd = 60;
  give(Op::CreditUpdate);
  EXPECT_EQ(take().payload.size(), 60u);
  EXPECT_EQ(take().op(), Op::CreditRequest);
  guest_fwd = kGuestBuffer;
  give(Op::CreditUpdate);
  EXPECT_EQ(take().payload.size(), 40u);
}

TEST_F(ConnectionTest, guest_that_shrinks_its_buffer_below_what_is_in_flight_gets_nothing) {
  establish();
  peer.to_guest = std::string(200, 'x');
  event(kReadable);
  ASSERT_EQ(take(sizeof(PacketHeader) + 150).payload.size(), 150u);
  guest_buffer = 100;
  give(Op::CreditUpdate);
  EXPECT_EQ(take().op(), Op::CreditRequest);
}

TEST_F(ConnectionTest, credit_counts_wrap) {
  establish();
  guest_buffer = 1u << 20;
  give(Op::CreditUpdate);
  // 5 GiB, the guest keeping up: the 32-bit counts wrap on the way.
  const PacketRoom room(sizeof(PacketHeader) + abi::vsock::kMaxPayloadBytes);
  std::uint64_t sent = 0;
  while (sent < (5ull << 30)) {
    peer.to_guest.assign(abi::vsock::kMaxPayloadBytes, 'x');
    event(kReadable);
    virtio::Writer writer = room.writer();
    ASSERT_TRUE(connection->produce(writer, now));
    ASSERT_EQ(writer.consumed(), sizeof(PacketHeader) + abi::vsock::kMaxPayloadBytes) << sent;
    sent += abi::vsock::kMaxPayloadBytes;
    guest_fwd = static_cast<std::uint32_t>(sent);
    give(Op::CreditUpdate);
  }
}

TEST_F(ConnectionTest, impossible_or_old_fwd_cnt_changes_nothing) {
  establish();
  peer.to_guest = std::string(300, 'x');
  event(kReadable);
  ASSERT_EQ(take().payload.size(), 300u);
  guest_fwd = 200;
  give(Op::CreditUpdate);
  guest_fwd = 301;  // more than it was sent
  give(Op::CreditUpdate);
  guest_fwd = 100;  // overtaken by the newer one
  give(Op::CreditUpdate);
  EXPECT_EQ(connection->end(), End::None);
  peer.to_guest = std::string(1000, 'x');
  event(kReadable);
  EXPECT_EQ(take().payload.size(), kGuestBuffer - 100u);
}

TEST_F(ConnectionTest, data_of_the_guest_reaches_the_client_without_buffering) {
  establish();
  give(Op::Rw, "from guest");
  EXPECT_EQ(peer.from_guest, "from guest");
  EXPECT_EQ(counters.tx_bytes, 10u);
  EXPECT_FALSE(connection->has_output());
}

TEST_F(ConnectionTest, slow_client_is_buffered_in_order) {
  establish();
  peer.takes = 3;
  give(Op::Rw, "abcdef");
  give(Op::Rw, "ghi");
  EXPECT_EQ(peer.from_guest, "abc");
  EXPECT_EQ(peer.watched, Interest::ReadWrite);
  peer.takes = 4;
  event(kWritable);
  EXPECT_EQ(peer.from_guest, "abcdefg");
  peer.takes = SIZE_MAX;
  event(kWritable);
  EXPECT_EQ(peer.from_guest, "abcdefghi");
  EXPECT_EQ(peer.watched, Interest::Read);
}

TEST_F(ConnectionTest, buffer_wraps_around_its_end) {
  establish();
  std::string expected;
  peer.takes = 0;
  give(Op::Rw, std::string(700, 'a'));
  peer.takes = 600;
  event(kWritable);
  peer.takes = 0;
  give(Op::Rw, std::string(800, 'b'));
  peer.takes = SIZE_MAX;
  event(kWritable);
  EXPECT_EQ(peer.from_guest, std::string(700, 'a') + std::string(800, 'b'));
}

TEST_F(ConnectionTest, credit_update_is_sent_when_half_of_the_buffer_is_used_and_freed) {
  establish();
  give(Op::Rw, std::string(kOurBuffer / 2 - 1, 'x'));
  EXPECT_FALSE(connection->has_output());
  give(Op::Rw, "x");
  const Seen update = take();
  EXPECT_EQ(update.op(), Op::CreditUpdate);
  EXPECT_EQ(update.header.fwd_cnt, kOurBuffer / 2);
}

TEST_F(ConnectionTest, credit_update_rides_on_data) {
  establish();
  give(Op::Rw, std::string(kOurBuffer / 2, 'x'));
  peer.to_guest = "y";
  event(kReadable);
  const Seen data = take();
  EXPECT_EQ(data.op(), Op::Rw);
  EXPECT_EQ(data.header.fwd_cnt, kOurBuffer / 2);
  EXPECT_FALSE(connection->has_output());
}

TEST_F(ConnectionTest, credit_request_is_answered) {
  establish();
  give(Op::CreditRequest);
  const Seen update = take();
  EXPECT_EQ(update.op(), Op::CreditUpdate);
  EXPECT_EQ(update.header.buf_alloc, kOurBuffer);
}

TEST_F(ConnectionTest, exactly_the_credit_is_allowed) {
  establish();
  peer.takes = 0;
  give(Op::Rw, std::string(kOurBuffer, 'x'));
  EXPECT_EQ(connection->end(), End::None);
}

TEST_F(ConnectionTest, one_byte_more_than_the_credit_resets) {
  establish();
  peer.takes = 0;
  give(Op::Rw, std::string(kOurBuffer, 'x'));
  give(Op::Rw, "x");
  EXPECT_EQ(connection->end(), End::ResetByHost);
  EXPECT_EQ(counters.drop_credit_violation, 1u);
  EXPECT_EQ(take().op(), Op::Rst);
  EXPECT_TRUE(connection->finished());
}

TEST_F(ConnectionTest, client_half_close_tells_the_guest_after_the_data) {
  establish();
  peer.to_guest = "last";
  peer.ended = true;
  event(kReadable);
  EXPECT_EQ(take().payload, "last");
  event(kReadable);
  const Seen shutdown = take();
  EXPECT_EQ(shutdown.op(), Op::Shutdown);
  EXPECT_EQ(shutdown.header.flags, abi::vsock::kShutdownSend);
  give(Op::Rw, "answer");
  EXPECT_EQ(peer.from_guest, "answer");
  EXPECT_EQ(peer.watched, Interest::Hangup);
}

TEST_F(ConnectionTest, both_half_closes_end_in_order) {
  establish();
  peer.ended = true;
  event(kReadable);
  ASSERT_EQ(take().header.flags, abi::vsock::kShutdownSend);
  give(Op::Shutdown, "", abi::vsock::kShutdownSend);
  EXPECT_TRUE(peer.saw_end);
  EXPECT_EQ(take().header.flags, abi::vsock::kShutdownSend | abi::vsock::kShutdownReceive);
  EXPECT_TRUE(peer.destroyed);
  give(Op::Rst);
  EXPECT_EQ(connection->end(), End::Closed);
  EXPECT_TRUE(connection->finished());
}

TEST_F(ConnectionTest, client_close_tells_the_guest_that_nobody_reads_either) {
  establish();
  peer.to_guest = "x";
  peer.ended = true;
  event(kHangup);
  EXPECT_EQ(take().payload, "x");
  event(kHangup);
  take();  // the end of the stream
  event(kHangup);
  const Seen shutdown = take();
  EXPECT_EQ(shutdown.op(), Op::Shutdown);
  EXPECT_EQ(shutdown.header.flags, abi::vsock::kShutdownSend | abi::vsock::kShutdownReceive);
  give(Op::Rw, "too late");
  EXPECT_EQ(connection->end(), End::None);
  give(Op::Rst);
  EXPECT_EQ(connection->end(), End::Closed);
}

TEST_F(ConnectionTest, broken_client_ends_both_directions) {
  establish();
  peer.broken = true;
  event({.error = true});
  EXPECT_EQ(take().header.flags, abi::vsock::kShutdownSend | abi::vsock::kShutdownReceive);
}

TEST_F(ConnectionTest, client_that_stops_reading_discards_but_keeps_credit_flowing) {
  establish();
  peer.refuses = true;
  for (int i = 0; i < 10; ++i) {
    give(Op::Rw, std::string(kOurBuffer, 'x'));
    const Seen packet = take();
    ASSERT_EQ(packet.header.fwd_cnt, kOurBuffer * static_cast<unsigned>(i + 1));
  }
  EXPECT_EQ(connection->end(), End::None);
}

TEST_F(ConnectionTest, guest_close_waits_for_a_slow_client) {
  establish();
  peer.takes = 0;
  give(Op::Rw, "slow");
  give(Op::Shutdown, "", abi::vsock::kShutdownSend | abi::vsock::kShutdownReceive);
  EXPECT_EQ(connection->end(), End::None);
  EXPECT_FALSE(peer.saw_end);
  peer.takes = SIZE_MAX;
  event(kWritable);
  EXPECT_EQ(peer.from_guest, "slow");
  EXPECT_TRUE(peer.saw_end);
  EXPECT_EQ(connection->end(), End::Closed);
  EXPECT_EQ(take().op(), Op::Rst);
}

TEST_F(ConnectionTest, guest_that_stops_receiving_shuts_the_client_for_writing) {
  establish();
  give(Op::Shutdown, "", abi::vsock::kShutdownReceive);
  EXPECT_TRUE(peer.read_shut);
  peer.to_guest = "nobody wants this";
  event(kReadable);
  EXPECT_EQ(take().op(), Op::Invalid);
  give(Op::Rw, "still sending");
  EXPECT_EQ(peer.from_guest, "still sending");
}

TEST_F(ConnectionTest, data_after_shutdown_is_a_violation) {
  establish();
  give(Op::Shutdown, "", abi::vsock::kShutdownSend);
  give(Op::Rw, "x");
  EXPECT_EQ(connection->end(), End::ResetByHost);
  EXPECT_EQ(counters.drop_bad_operation, 1u);
}

TEST_F(ConnectionTest, request_on_an_established_connection_is_a_violation) {
  establish();
  give(Op::Request);
  EXPECT_EQ(connection->end(), End::ResetByHost);
  EXPECT_EQ(take().op(), Op::Rst);
}

TEST_F(ConnectionTest, reset_by_the_guest_closes_the_client) {
  establish();
  give(Op::Rst);
  EXPECT_TRUE(connection->finished());
  EXPECT_EQ(connection->end(), End::ResetByGuest);
  EXPECT_TRUE(peer.destroyed);
}

TEST_F(ConnectionTest, guest_that_never_answers_a_close_gets_a_reset) {
  establish();
  peer.ended = true;
  event(kHangup);
  take();
  event(kHangup);
  take();
  ASSERT_TRUE(connection->deadline());
  now = *connection->deadline();
  connection->expire(now);
  EXPECT_EQ(take().op(), Op::Rst);
  EXPECT_TRUE(connection->finished());
}

TEST_F(ConnectionTest, guest_that_still_takes_data_is_given_time) {
  establish();
  peer.to_guest = "data";
  peer.ended = true;
  event(kHangup);
  take();
  event(kHangup);
  take();
  event(kHangup);
  take();
  ASSERT_TRUE(connection->deadline());
  const TimePoint first = *connection->deadline();
  now = first - std::chrono::seconds(1);
  guest_fwd = 2;
  give(Op::CreditUpdate);
  EXPECT_GT(*connection->deadline(), first);
}

TEST_F(ConnectionTest, from_guest_is_answered_before_any_data) {
  PacketHeader request;
  request.buf_alloc = 100;
  request.fwd_cnt = 0;
  peer.to_guest = "early";
  connection = Connection::from_guest(config(), stream_to(peer), request, counters);
  event(kReadable);
  EXPECT_EQ(take().op(), Op::Response);
  EXPECT_EQ(take().payload, "early");
}

TEST_F(ConnectionTest, abort_tells_a_waiting_client_why) {
  start_from_host();
  connection->abort("the machine stopped");
  EXPECT_EQ(peer.refusal, "the machine stopped");
  EXPECT_TRUE(connection->finished());
}

}  // namespace
}  // namespace vmm::vsock
