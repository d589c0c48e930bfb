#include "guest/drivers/vsock_mux.hpp"

#include <gtest/gtest.h>

#include "vsock_test_peers.hpp"

namespace {

using guest::drivers::VsockMux;
using guest::drivers::testing::bytes_of;
using guest::drivers::testing::kGuestCid;
using guest::drivers::testing::MuxBench;
using guest::drivers::testing::Op;
using guest::drivers::testing::PacketHeader;
using guest::drivers::testing::Recorder;
using guest::drivers::testing::text_of;
using guest::kernel::Status;
using Ops = std::vector<Op>;

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

TEST(VsockMux, ended_stream_is_told_of_before_the_next_request_of_the_same_run) {
  MuxBench bench;
  bench.receive(Op::Request, 1024);
  bench.serve();
  bench.receive(Op::Rst, 1024);  // no service() from here: the receive queue holds more
  EXPECT_EQ(bench.listener.handler().closed, 0);
  const Recorder& first = bench.listener.handler();
  bench.receive(Op::Request, 1025);
  EXPECT_EQ(first.closed, 1);
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
