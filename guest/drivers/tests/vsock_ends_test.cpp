#include "guest/drivers/vsock_mux.hpp"

#include <gtest/gtest.h>

#include "vsock_test_peers.hpp"

namespace {

using abi::vsock::kShutdownReceive;
using abi::vsock::kShutdownSend;
using guest::drivers::VsockMux;
using guest::drivers::testing::bytes_of;
using guest::drivers::testing::MuxBench;
using guest::drivers::testing::Op;
using guest::drivers::testing::Packet;
using guest::drivers::testing::PacketHeader;
using guest::drivers::testing::Recorder;
using guest::drivers::testing::text_of;
using Ops = std::vector<Op>;

constexpr std::uint32_t kBoth = kShutdownReceive | kShutdownSend;

// ---- Ends

TEST(VsockMux, half_close_of_the_peer_leaves_the_other_direction_open) {
  MuxBench bench;
  bench.open(1024);
  Recorder& handler = bench.listener.handler();
  handler.close_at_end = false;
  bench.shutdown(1024, kShutdownSend);
  EXPECT_TRUE(handler.ended);
  auto& stream = *bench.listener.last_stream;
  EXPECT_FALSE(stream.send_ended());
  EXPECT_EQ(stream.write(bytes_of("answer")), 6U);
  stream.close();
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(text_of(packets[0].payload), "answer");
  EXPECT_EQ(packets[1].op(), Op::Shutdown);
  EXPECT_EQ(packets[1].header.flags, kBoth);
  EXPECT_EQ(handler.closed, 1);
  EXPECT_EQ(bench.counters.connections.value(), 1U) << "it waits for the peer's RST";
  bench.receive(Op::Rst, 1024);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  EXPECT_EQ(bench.counters.connections.value(), 0U);
  EXPECT_EQ(bench.counters.closed.value(), 1U);
  EXPECT_EQ(bench.counters.reset_by_peer.value(), 0U) << "that RST is the end of an orderly close";
}

TEST(VsockMux, unread_bytes_outlive_the_peers_shutdown) {
  MuxBench bench;
  bench.listener.hold = true;
  bench.open(1024);
  Recorder& handler = bench.listener.handler();
  bench.receive(Op::Rw, 1024, "last words");
  bench.shutdown(1024, kBoth);
  EXPECT_FALSE(handler.ended);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  handler.drain(*bench.listener.last_stream);
  EXPECT_EQ(handler.received, "last words");
  EXPECT_TRUE(bench.listener.last_stream->receive_ended());
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst}) << "the RST that completes the peer's close";
  EXPECT_EQ(handler.closed, 1);
}

TEST(VsockMux, full_shutdown_of_the_peer_is_completed_with_a_reset) {
  MuxBench bench;
  bench.open(1024);
  bench.shutdown(1024, kBoth);
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
  EXPECT_EQ(bench.listener.handler().closed, 1);
  EXPECT_EQ(bench.counters.closed.value(), 1U);
}

TEST(VsockMux, finish_sending_tells_the_peer_and_reading_goes_on) {
  MuxBench bench;
  bench.open(1024);
  auto& stream = *bench.listener.last_stream;
  EXPECT_EQ(stream.write(bytes_of("all")), 3U);
  stream.finish_sending();
  EXPECT_TRUE(stream.send_ended());
  EXPECT_EQ(stream.write(bytes_of("more")), 0U);
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[1].op(), Op::Shutdown);
  EXPECT_EQ(packets[1].header.flags, kShutdownSend);
  bench.receive(Op::Rw, 1024, "still");
  EXPECT_EQ(bench.listener.handler().received, "still");
}

TEST(VsockMux, peer_that_stops_receiving_wakes_a_writer_that_waits) {
  MuxBench bench;
  PacketHeader request = MuxBench::header(Op::Request, 1024);
  request.buf_alloc = 10;
  bench.listener.greeting = std::string(100, 'x');
  bench.receive(request);
  bench.sent();
  PacketHeader shutdown = request;
  shutdown.op = static_cast<std::uint16_t>(Op::Shutdown);
  shutdown.flags = kShutdownReceive;
  bench.receive(shutdown);
  bench.serve();
  EXPECT_EQ(bench.listener.handler().writable, 1);
  EXPECT_TRUE(bench.listener.last_stream->send_ended());
}

TEST(VsockMux, reset_of_the_peer_ends_the_stream_without_an_answer) {
  MuxBench bench;
  bench.listener.hold = true;
  bench.open(1024);
  bench.receive(Op::Rw, 1024, "unread");
  bench.receive(Op::Rst, 1024);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  EXPECT_EQ(bench.listener.handler().closed, 1);
  EXPECT_EQ(bench.counters.reset_by_peer.value(), 1U);
  EXPECT_TRUE(bench.memory.blocks.empty());
}

TEST(VsockMux, functions_of_an_ended_stream_do_nothing_until_on_closed) {
  MuxBench bench;
  bench.open(1024);
  auto& stream = *bench.listener.last_stream;
  stream.reset();
  EXPECT_EQ(bench.listener.handler().closed, 0) << "not out of the user's own call";
  std::byte buffer[8];
  EXPECT_EQ(stream.read(buffer), 0U);
  EXPECT_EQ(stream.write(buffer), 0U);
  EXPECT_TRUE(stream.peek().empty());
  EXPECT_TRUE(stream.send_ended());
  EXPECT_TRUE(stream.receive_ended());
  stream.finish_sending();
  stream.close();
  stream.reset();
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
  EXPECT_EQ(bench.listener.handler().closed, 1);
}

TEST(VsockMux, data_after_our_close_is_dropped_and_counted) {
  MuxBench bench;
  bench.open(1024);
  bench.listener.last_stream->close();
  bench.serve();
  bench.receive(Op::Rw, 1024, "late");
  EXPECT_EQ(bench.counters.drop_closing.value(), 1U);
  EXPECT_EQ(bench.listener.handler().received, "");
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Shutdown});
}

TEST(VsockMux, both_sides_closing_at_once_end_with_a_reset) {
  MuxBench bench;
  bench.open(1024);
  bench.listener.last_stream->close();
  bench.serve();
  bench.shutdown(1024, kBoth);
  EXPECT_EQ(bench.sent_ops(), (Ops{Op::Shutdown, Op::Rst}));
  EXPECT_EQ(bench.counters.connections.value(), 0U);
}

TEST(VsockMux, data_after_the_peers_own_shutdown_resets) {
  MuxBench bench;
  bench.open(1024);
  bench.listener.handler().close_at_end = false;
  bench.shutdown(1024, kShutdownSend);
  bench.receive(Op::Rw, 1024, "liar");
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
}

TEST(VsockMux, reset_in_on_closed_does_not_call_it_again) {
  MuxBench bench;
  struct Resetter final : guest::kernel::StreamHandler {
    void on_readable(guest::kernel::Stream& stream) override { stream.close(); }
    void on_writable(guest::kernel::Stream&) override {}
    void on_closed(guest::kernel::Stream& stream) override {
      ++closed;
      stream.reset();
    }
    int closed = 0;
  } handler;
  struct Listener final : guest::kernel::StreamListener {
    explicit Listener(Resetter& handler) : handler_(handler) {}
    guest::kernel::StreamHandler* on_connect(guest::kernel::Stream&, std::uint32_t) override { return &handler_; }
    Resetter& handler_;
  } listener(handler);
  ASSERT_TRUE(bench.mux->listen(6000, listener));
  PacketHeader request = MuxBench::header(Op::Request, 1);
  request.dst_port = 6000;
  bench.receive(request);
  bench.serve();
  PacketHeader data = MuxBench::header(Op::Rw, 1, 1);
  data.dst_port = 6000;
  bench.receive(data, bytes_of("x"));
  bench.serve();
  EXPECT_EQ(handler.closed, 1);
  EXPECT_EQ(bench.counters.connections.value(), 0U);
}

// ---- A full way out

TEST(VsockMuxRoom, full_tx_queue_delays_answers_and_loses_none) {
  MuxBench bench;
  bench.link.room_packets = 0;
  for (std::uint32_t port = 0; port < 50; ++port) bench.receive(Op::Request, port);
  for (std::uint32_t port = 100; port < 150; ++port) bench.receive(Op::Rw, port);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  EXPECT_TRUE(bench.mux->wants_room());
  int responses = 0;
  int resets = 0;
  for (int i = 0; i < 100; ++i) {
    bench.link.room_packets = 1;
    bench.mux->service();
    for (const Op op : bench.sent_ops()) (op == Op::Response ? responses : resets) += 1;
  }
  EXPECT_EQ(responses, 50);
  EXPECT_EQ(resets, 50);
  EXPECT_FALSE(bench.mux->wants_room());
}

TEST(VsockMuxRoom, packets_are_refused_before_a_reset_could_be_lost) {
  MuxBench bench;
  bench.link.room_packets = 0;
  int taken = 0;
  while (bench.mux->can_receive()) {
    bench.receive(Op::Rw, static_cast<std::uint32_t>(taken));
    ASSERT_LT(++taken, 1000);
  }
  EXPECT_GE(taken, 100);
  bench.link.room_packets = 1000;
  EXPECT_EQ(bench.sent_ops(), Ops(static_cast<std::size_t>(taken), Op::Rst));
  EXPECT_TRUE(bench.mux->can_receive());
}

TEST(VsockMuxRoom, writers_share_the_way_out) {
  MuxBench bench({.turn_bytes = 4000});
  bench.link.largest_payload = 1000;
  for (std::uint32_t port = 0; port < 4; ++port) bench.open(port);
  bench.link.room_packets = 0;
  std::vector<guest::kernel::Stream*> streams;
  for (std::uint32_t port = 10; port < 14; ++port) {
    bench.link.room_packets = 1;
    bench.receive(Op::Request, port);
    bench.serve();
    streams.push_back(bench.listener.last_stream);
    bench.listener.handler().to_send = std::string(40'000, 'x');
    bench.listener.handler().pump(*streams.back());
  }
  bench.link.sent.clear();
  std::map<std::uint32_t, int> packets;
  for (int i = 0; i < 40; ++i) {
    bench.link.room_packets = 2;
    bench.mux->service();
    for (const Packet& packet : bench.sent()) ++packets[packet.header.dst_port];
  }
  ASSERT_EQ(packets.size(), 4U);
  for (const auto& [port, count] : packets) EXPECT_NEAR(count, 20, 4) << port;
}

TEST(VsockMuxRoom, newcomer_waits_behind_those_who_wait) {
  MuxBench bench;
  bench.open(1);
  Recorder& first = bench.listener.handler();
  auto& first_stream = *bench.listener.last_stream;
  bench.open(2);
  auto& second_stream = *bench.listener.last_stream;
  bench.link.room_packets = 0;
  first.to_send = "first";
  first.pump(first_stream);
  bench.link.room_packets = 10;
  bench.listener.handler().to_send = "second";
  bench.listener.handler().pump(second_stream);
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(text_of(packets[0].payload), "first");
  EXPECT_EQ(text_of(packets[1].payload), "second");
}

TEST(VsockMuxRoom, stream_that_nobody_reads_blocks_no_other) {
  MuxBench bench;
  bench.listener.hold = true;
  bench.open(1);
  bench.listener.hold = false;
  bench.open(2);
  for (int i = 0; i < 128; ++i) bench.receive(Op::Rw, 1, std::string(1024, 'x'));
  for (int i = 0; i < 1000; ++i) bench.receive(Op::Rw, 2, "ping");
  EXPECT_EQ(bench.listener.handler().received.size(), 4000U);
}

TEST(VsockMuxRoom, drained_is_true_only_when_the_link_has_everything) {
  MuxBench bench;
  bench.open(1);
  EXPECT_TRUE(bench.mux->drained());
  bench.link.room_packets = 0;
  bench.listener.last_stream->close();
  EXPECT_FALSE(bench.mux->drained());
  bench.link.room_packets = 1;
  EXPECT_FALSE(bench.mux->drained()) << "sent, but not taken yet";
  bench.link.sent.clear();
  EXPECT_TRUE(bench.mux->drained());
}

}  // namespace
