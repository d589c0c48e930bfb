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
using Ops = std::vector<Op>;

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

}  // namespace
