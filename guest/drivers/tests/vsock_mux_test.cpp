#include "guest/drivers/vsock_mux.hpp"

#include <gtest/gtest.h>

#include <random>

#include "vsock_test_peers.hpp"

namespace {

using abi::vsock::kShutdownReceive;
using abi::vsock::kShutdownSend;
using guest::drivers::VsockMux;
using guest::drivers::testing::bytes_of;
using guest::drivers::testing::kGuestCid;
using guest::drivers::testing::MuxBench;
using guest::drivers::testing::Op;
using guest::drivers::testing::Packet;
using guest::drivers::testing::PacketHeader;
using guest::drivers::testing::Recorder;
using guest::drivers::testing::RecordingListener;
using guest::drivers::testing::text_of;
using guest::kernel::Status;
using Ops = std::vector<Op>;

constexpr std::uint32_t kBoth = kShutdownReceive | kShutdownSend;

// ---- Opening

TEST(VsockMux, request_to_a_listener_is_answered_with_a_response_and_our_credit) {
  MuxBench bench;
  bench.receive(Op::Request, 1024);
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  const PacketHeader& response = packets[0].header;
  EXPECT_EQ(packets[0].op(), Op::Response);
  EXPECT_EQ(response.src_cid, kGuestCid);
  EXPECT_EQ(response.dst_cid, abi::vsock::kHostCid);
  EXPECT_EQ(response.src_port, MuxBench::kPort);
  EXPECT_EQ(response.dst_port, 1024U);
  EXPECT_EQ(response.type, abi::vsock::kTypeStream);
  EXPECT_EQ(response.len, 0U);
  EXPECT_EQ(response.buf_alloc, 128U * 1024);
  EXPECT_EQ(response.fwd_cnt, 0U);
  EXPECT_EQ(bench.listener.last_peer_port, 1024U);
  EXPECT_EQ(bench.counters.opened.value(), 1U);
  EXPECT_EQ(bench.counters.connections.value(), 1U);
}

TEST(VsockMux, request_to_a_port_without_listener_is_refused) {
  MuxBench bench;
  PacketHeader header = MuxBench::header(Op::Request, 1024);
  header.dst_port = 5001;
  bench.receive(header);
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].op(), Op::Rst);
  EXPECT_EQ(packets[0].header.src_port, 5001U);
  EXPECT_EQ(packets[0].header.dst_port, 1024U);
  EXPECT_EQ(bench.counters.refused.value(), 1U);
}

TEST(VsockMux, listener_that_refuses_causes_a_reset) {
  MuxBench bench;
  bench.listener.refuse = true;
  bench.receive(Op::Request, 1024);
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
  EXPECT_EQ(bench.counters.connections.value(), 0U);
}

TEST(VsockMux, listen_refuses_a_taken_port_and_a_full_table) {
  MuxBench bench;
  EXPECT_FALSE(bench.mux->listen(MuxBench::kPort, bench.listener));
  for (std::uint32_t i = 1; i < VsockMux::kMaxListeners; ++i) EXPECT_TRUE(bench.mux->listen(i, bench.listener));
  EXPECT_FALSE(bench.mux->listen(100, bench.listener));
}

TEST(VsockMux, data_written_in_on_connect_follows_the_response) {
  MuxBench bench;
  bench.listener.greeting = "hello";
  bench.receive(Op::Request, 1024);
  EXPECT_EQ(bench.sent_ops(), (Ops{Op::Response, Op::Rw}));
}

TEST(VsockMux, stream_closed_in_on_connect_delivers_its_greeting_first) {
  MuxBench bench;
  bench.listener.greeting = "busy";
  bench.listener.close_at_once = true;
  bench.receive(Op::Request, 1024);
  EXPECT_EQ(bench.sent_ops(), (Ops{Op::Response, Op::Rw, Op::Shutdown}));
  EXPECT_EQ(bench.listener.handler().closed, 1);
}

TEST(VsockMux, stream_reset_in_on_connect_is_a_refusal_and_its_handler_hears_of_it) {
  MuxBench bench;
  bench.listener.reset_at_once = true;
  bench.receive(Op::Request, 1024);
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
  EXPECT_EQ(bench.listener.handler().closed, 1);
}

TEST(VsockMux, second_request_of_an_open_connection_resets_it) {
  MuxBench bench;
  bench.open(1024);
  bench.receive(Op::Request, 1024);
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
  EXPECT_EQ(bench.listener.handler().closed, 1);
  EXPECT_EQ(bench.counters.drop_op.value(), 1U);
}

// ---- Data and credit

TEST(VsockMux, received_bytes_reach_the_handler_without_a_buffer) {
  MuxBench bench;
  bench.open(1024);
  bench.receive(Op::Rw, 1024, "abc");
  bench.receive(Op::Rw, 1024, "def");
  EXPECT_EQ(bench.listener.handler().received, "abcdef");
  EXPECT_TRUE(bench.memory.blocks.empty());
}

TEST(VsockMux, unread_bytes_stay_in_order_and_their_memory_goes_back) {
  MuxBench bench;
  bench.listener.hold = true;
  bench.open(1024);
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    const std::string piece(1000, static_cast<char>('a' + i % 26));
    bench.receive(Op::Rw, 1024, piece);
    expected += piece;
  }
  EXPECT_EQ(bench.memory.blocks.size(), 1U);
  Recorder& handler = bench.listener.handler();
  handler.drain(*bench.listener.last_stream);
  EXPECT_EQ(handler.received, expected);
  EXPECT_TRUE(bench.memory.blocks.empty());
}

TEST(VsockMux, credit_is_returned_when_a_quarter_of_the_window_was_read) {
  MuxBench bench;
  bench.open(1024);
  for (int i = 0; i < 31; ++i) bench.receive(Op::Rw, 1024, std::string(1024, 'x'));
  EXPECT_EQ(bench.sent_ops(), Ops{});
  bench.receive(Op::Rw, 1024, std::string(1024, 'x'));
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].op(), Op::CreditUpdate);
  EXPECT_EQ(packets[0].header.fwd_cnt, 32U * 1024);
}

TEST(VsockMux, credit_request_is_answered_even_when_nothing_changed) {
  MuxBench bench;
  bench.open(1024);
  bench.receive(Op::CreditRequest, 1024);
  bench.receive(Op::CreditRequest, 1024);
  EXPECT_EQ(bench.sent_ops(), Ops{Op::CreditUpdate}) << "a flood of requests needs one answer";
}

TEST(VsockMux, peer_that_exceeds_its_window_is_reset_and_others_are_not) {
  MuxBench bench;
  bench.listener.hold = true;
  bench.open(1);
  bench.open(2);
  for (int i = 0; i < 128; ++i) bench.receive(Op::Rw, 1, std::string(1024, 'x'));
  EXPECT_EQ(bench.sent_ops(), Ops{}) << "exactly the window is allowed";
  bench.receive(Op::Rw, 1, "x");
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].op(), Op::Rst);
  EXPECT_EQ(packets[0].header.dst_port, 1U);
  EXPECT_EQ(bench.counters.credit_violations.value(), 1U);
  EXPECT_EQ(bench.counters.connections.value(), 1U);
  EXPECT_TRUE(bench.memory.blocks.empty());
}

TEST(VsockMux, window_counts_wrap_around_2_to_the_32) {
  // A window of 64 MiB and packets of 64 KiB pass 2^32 in 65,536 packets.
  MuxBench bench({.window_bytes = 64 << 20, .large_windows_total_bytes = 64 << 20});
  bench.open(1024);
  Recorder& handler = bench.listener.handler();
  const std::vector<std::byte> payload(65536);
  std::vector<std::byte> packet(sizeof(PacketHeader) + payload.size());
  const PacketHeader header = MuxBench::header(Op::Rw, 1024, 65536);
  std::memcpy(packet.data(), &header, sizeof(header));
  handler.hold = true;  // consumed below, in place
  std::uint64_t total = 0;
  for (int i = 0; i < 70'000; ++i) {
    bench.mux->receive(packet);
    bench.listener.last_stream->consume(65536);
    total += 65536;
    if (i % 100 == 0) {
      bench.serve();
      bench.link.sent.clear();
    }
  }
  EXPECT_GT(total, std::uint64_t{1} << 32);
  EXPECT_EQ(handler.closed, 0);
  bench.receive(Op::CreditRequest, 1024);
  EXPECT_EQ(bench.sent().back().header.fwd_cnt, static_cast<std::uint32_t>(total));
}

TEST(VsockMux, write_stops_at_the_peers_credit_asks_and_goes_on_when_it_comes) {
  MuxBench bench;
  PacketHeader request = MuxBench::header(Op::Request, 1024);
  request.buf_alloc = 1000;
  bench.listener.greeting = std::string(2500, 'x');
  bench.receive(request);
  auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 3U);
  EXPECT_EQ(packets[1].header.len, 1000U);
  EXPECT_EQ(packets[2].op(), Op::CreditRequest);
  PacketHeader update = MuxBench::header(Op::CreditUpdate, 1024);
  update.buf_alloc = 1000;
  bench.receive(update);
  EXPECT_EQ(bench.sent_ops(), Ops{}) << "an update without credit changes nothing, and there is one request a stall";
  update.fwd_cnt = 600;
  bench.receive(update);
  packets = bench.sent();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].header.len, 600U);
  EXPECT_EQ(packets[1].op(), Op::CreditRequest);
  update.fwd_cnt = 1600;
  bench.receive(update);
  packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].header.len, 900U);
  EXPECT_GE(bench.counters.credit_stalls.value(), 2U);
}

TEST(VsockMux, peer_that_shrinks_its_window_below_what_is_in_flight_gets_nothing_more) {
  MuxBench bench;
  PacketHeader request = MuxBench::header(Op::Request, 1024);
  request.buf_alloc = 1000;
  bench.listener.greeting = std::string(2000, 'x');
  bench.receive(request);
  bench.sent();
  PacketHeader update = MuxBench::header(Op::CreditUpdate, 1024);
  update.buf_alloc = 100;
  update.fwd_cnt = 500;
  bench.receive(update);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  update.fwd_cnt = 950;
  bench.receive(update);
  const auto packets = bench.sent();
  ASSERT_GE(packets.size(), 1U);
  EXPECT_EQ(packets[0].header.len, 50U);
}

TEST(VsockMux, impossible_or_old_fwd_cnt_gains_the_peer_nothing) {
  MuxBench bench;
  PacketHeader request = MuxBench::header(Op::Request, 1024);
  request.buf_alloc = 1000;
  bench.listener.greeting = std::string(5000, 'x');
  bench.receive(request);
  bench.sent();
  PacketHeader update = MuxBench::header(Op::CreditUpdate, 1024);
  update.buf_alloc = 1000;
  for (const std::uint32_t lie : {1001U, 0x8000'0000U, 0xFFFF'FFFFU}) {
    update.fwd_cnt = lie;
    bench.receive(update);
    EXPECT_EQ(bench.sent_ops(), Ops{}) << lie;
  }
  EXPECT_EQ(bench.counters.stale_credit.value(), 3U);
  update.fwd_cnt = 1000;
  bench.receive(update);
  EXPECT_EQ(bench.sent().at(0).header.len, 1000U);
}

TEST(VsockMux, request_that_starts_counting_anywhere_has_its_whole_window) {
  MuxBench bench;
  PacketHeader request = MuxBench::header(Op::Request, 1024);
  request.buf_alloc = 1000;
  request.fwd_cnt = 0xFFFF'FF00;
  bench.listener.greeting = std::string(1500, 'x');
  bench.receive(request);
  EXPECT_EQ(bench.sent().at(1).header.len, 1000U);
}

TEST(VsockMux, memory_that_runs_out_resets_only_the_stream_that_needs_it) {
  MuxBench bench;
  bench.listener.hold = true;
  bench.open(1);
  bench.open(2);
  bench.receive(Op::Rw, 1, "kept");
  bench.memory.left_bytes = 0;
  bench.receive(Op::Rw, 2, "lost");
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].op(), Op::Rst);
  EXPECT_EQ(packets[0].header.dst_port, 2U);
  EXPECT_EQ(bench.counters.no_memory.value(), 1U);
  EXPECT_EQ(bench.counters.connections.value(), 1U);
}

TEST(VsockMux, windows_become_small_when_many_are_open) {
  MuxBench bench({.window_bytes = 1000, .small_window_bytes = 100, .large_windows_total_bytes = 2500});
  std::vector<std::uint32_t> windows;
  for (std::uint32_t port = 1; port <= 4; ++port) {
    bench.receive(Op::Request, port);
    windows.push_back(bench.sent().at(0).header.buf_alloc);
  }
  EXPECT_EQ(windows, (std::vector<std::uint32_t>{1000, 1000, 100, 100}));
  bench.receive(Op::Rst, 1);
  bench.serve();
  bench.receive(Op::Request, 5);
  EXPECT_EQ(bench.sent().at(0).header.buf_alloc, 1000U);
}

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

// ---- Hostile packets

TEST(VsockMuxHostile, short_packets_are_dropped) {
  MuxBench bench;
  for (std::size_t size = 0; size < sizeof(PacketHeader); ++size) bench.mux->receive(std::vector<std::byte>(size));
  EXPECT_EQ(bench.counters.drop_short.value(), sizeof(PacketHeader));
  EXPECT_EQ(bench.sent_ops(), Ops{});
}

TEST(VsockMuxHostile, foreign_addresses_are_dropped) {
  MuxBench bench;
  PacketHeader header = MuxBench::header(Op::Request, 1);
  header.src_cid = 7;
  bench.receive(header);
  header = MuxBench::header(Op::Request, 1);
  header.dst_cid = kGuestCid + (std::uint64_t{1} << 32);
  bench.receive(header);
  EXPECT_EQ(bench.counters.drop_cid.value(), 2U);
  EXPECT_EQ(bench.sent_ops(), Ops{});
}

TEST(VsockMuxHostile, unknown_type_is_answered_with_a_reset_of_that_type) {
  MuxBench bench;
  PacketHeader header = MuxBench::header(Op::Request, 1);
  header.type = 2;
  bench.receive(header);
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].op(), Op::Rst);
  EXPECT_EQ(packets[0].header.type, 2U);
  EXPECT_EQ(bench.counters.drop_type.value(), 1U);
}

TEST(VsockMuxHostile, packets_for_no_connection_are_answered_with_a_reset_but_not_a_reset) {
  MuxBench bench;
  for (const Op op : {Op::Response, Op::Shutdown, Op::Rw, Op::CreditUpdate, Op::CreditRequest}) bench.receive(op, 9);
  EXPECT_EQ(bench.sent_ops(), Ops(5, Op::Rst));
  bench.receive(Op::Rst, 9);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  EXPECT_EQ(bench.counters.drop_unknown.value(), 6U);
}

TEST(VsockMuxHostile, length_that_does_not_match_resets_the_connection) {
  for (const std::uint32_t len : {0U, 2U, 4U, 0xFFFF'FFFFU}) {
    MuxBench bench;
    bench.open(1);
    bench.receive(MuxBench::header(Op::Rw, 1, len), bytes_of("abc"));
    EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst}) << len;
    EXPECT_EQ(bench.counters.drop_length.value(), 1U);
    EXPECT_EQ(bench.listener.handler().received, "");
  }
}

TEST(VsockMuxHostile, payload_on_a_packet_that_has_none_resets) {
  MuxBench bench;
  bench.open(1);
  bench.receive(Op::CreditUpdate, 1, "x");
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
}

TEST(VsockMuxHostile, unknown_operations_are_counted_and_end_a_connection) {
  MuxBench bench;
  bench.open(1);
  bench.receive(static_cast<Op>(8), 2);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  bench.receive(static_cast<Op>(0), 1);
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
  EXPECT_EQ(bench.counters.drop_op.value(), 2U);
}

TEST(VsockMuxHostile, response_to_an_open_connection_and_data_before_ours_reset) {
  MuxBench bench;
  bench.open(1);
  bench.receive(Op::Response, 1);
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
  bench.receive(Op::Request, 2);
  bench.receive(Op::Rw, 2, "early");
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
}

TEST(VsockMuxHostile, shutdown_with_unknown_or_no_flags_ends_nothing) {
  MuxBench bench;
  bench.open(1);
  bench.shutdown(1, 0);
  bench.shutdown(1, 0xFFFF'FFFC);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  EXPECT_FALSE(bench.listener.handler().ended);
}

TEST(VsockMuxHostile, full_table_refuses_and_serves_again_after_an_end) {
  MuxBench bench;
  for (std::uint32_t port = 0; port < VsockMux::kMaxConnections; ++port) bench.open(port);
  bench.receive(Op::Request, 5555);
  EXPECT_EQ(bench.sent_ops(), Ops{Op::Rst});
  EXPECT_EQ(bench.counters.refused.value(), 1U);
  bench.receive(Op::Rst, 7);
  bench.serve();
  bench.open(5555);
}

TEST(VsockMuxHostile, peer_that_never_completes_a_close_cannot_hold_the_table) {
  MuxBench bench;
  for (std::uint32_t port = 0; port < VsockMux::kMaxConnections; ++port) {
    bench.open(port);
    bench.listener.last_stream->close();
    ASSERT_EQ(bench.sent_ops(), Ops{Op::Shutdown});
  }
  bench.receive(Op::Request, 5555);
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].op(), Op::Rst);
  EXPECT_EQ(packets[0].header.dst_port, 0U) << "the oldest one";
  EXPECT_EQ(packets[1].op(), Op::Response);
  EXPECT_EQ(bench.counters.evicted.value(), 1U);
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

// ---- Outgoing, transport reset

TEST(VsockMuxConnect, accepted_connection_becomes_writable) {
  MuxBench bench;
  Recorder handler;
  handler.to_send = "hello";
  const auto stream = bench.mux->connect(4000, handler);
  ASSERT_TRUE(stream.has_value());
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].op(), Op::Request);
  EXPECT_EQ(packets[0].header.dst_port, 4000U);
  EXPECT_EQ((*stream)->write(bytes_of("early")), 0U);
  PacketHeader response = MuxBench::header(Op::Response, 4000);
  response.dst_port = packets[0].header.src_port;
  bench.receive(response);
  EXPECT_EQ(handler.writable, 1);
  EXPECT_EQ(text_of(bench.sent().at(0).payload), "hello");
}

TEST(VsockMuxConnect, refused_connection_is_closed) {
  MuxBench bench;
  Recorder handler;
  ASSERT_TRUE(bench.mux->connect(4000, handler).has_value());
  PacketHeader reset = MuxBench::header(Op::Rst, 4000);
  reset.dst_port = bench.sent().at(0).header.src_port;
  bench.receive(reset);
  bench.serve();
  EXPECT_EQ(handler.closed, 1);
  EXPECT_EQ(handler.writable, 0);
  EXPECT_EQ(bench.counters.refused.value(), 1U);
}

TEST(VsockMuxConnect, full_table_and_stopped_transport_are_errors) {
  MuxBench bench;
  std::vector<std::unique_ptr<Recorder>> handlers;
  for (std::size_t i = 0; i < VsockMux::kMaxConnections; ++i) {
    handlers.push_back(std::make_unique<Recorder>());
    ASSERT_TRUE(bench.mux->connect(4000, *handlers.back()).has_value());
  }
  Recorder handler;
  EXPECT_EQ(bench.mux->connect(4000, handler).error(), Status::NoMemory);
  bench.mux->stop();
  EXPECT_EQ(bench.mux->connect(4000, handler).error(), Status::Closed);
  bench.serve();
  for (const auto& each : handlers) EXPECT_EQ(each->closed, 1);
}

TEST(VsockMux, transport_reset_closes_every_stream_silently_and_listeners_stay) {
  MuxBench bench;
  bench.listener.hold = true;
  for (std::uint32_t port = 0; port < 10; ++port) bench.open(port);
  bench.receive(Op::Rw, 3, "unread");
  bench.receive(Op::Rw, 99, "no connection");
  bench.mux->stop();
  bench.mux->start(77);
  EXPECT_EQ(bench.sent_ops(), Ops{});
  for (const auto& handler : bench.listener.handlers) EXPECT_EQ(handler->closed, 1);
  EXPECT_EQ(bench.counters.connections.value(), 0U);
  EXPECT_TRUE(bench.memory.blocks.empty());
  PacketHeader request = MuxBench::header(Op::Request, 3);
  request.dst_cid = 77;
  bench.receive(request);
  const auto packets = bench.sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].op(), Op::Response);
  EXPECT_EQ(packets[0].header.src_cid, 77U);
}

}  // namespace
