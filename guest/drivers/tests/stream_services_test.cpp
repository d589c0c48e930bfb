#include "guest/drivers/stream_services.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "vsock_test_peers.hpp"

namespace {

using guest::drivers::CharacterGeneratorService;
using guest::drivers::testing::bytes_of;
using guest::drivers::testing::MuxBench;
using guest::drivers::testing::Op;
using guest::drivers::testing::Packet;
using guest::drivers::testing::PacketHeader;
using guest::drivers::testing::text_of;

TEST(StreamServices, discard_takes_everything_and_says_nothing) {
  guest::drivers::DiscardService discard;
  MuxBench bench;
  ASSERT_TRUE(bench.mux->listen(9, discard));
  PacketHeader header = MuxBench::header(Op::Request, 1);
  header.dst_port = 9;
  bench.receive(header);
  bench.serve();
  header = MuxBench::header(Op::Rw, 1, 1000);
  header.dst_port = 9;
  for (int i = 0; i < 1000; ++i) bench.receive(header, bytes_of(std::string(1000, 'x')));
  for (const Packet& packet : bench.sent()) EXPECT_TRUE(packet.op() == Op::Response || packet.op() == Op::CreditUpdate);
  EXPECT_TRUE(bench.memory.blocks.empty());
}

TEST(StreamServices, character_generator_sends_its_pattern_without_a_gap) {
  CharacterGeneratorService service;
  MuxBench bench;
  ASSERT_TRUE(bench.mux->listen(19, service));
  PacketHeader header = MuxBench::header(Op::Request, 1);
  header.dst_port = 19;
  header.buf_alloc = 100'000;
  bench.receive(header);
  std::string text;
  while (text.size() < 300'000) {
    for (const Packet& packet : bench.sent()) text += text_of(packet.payload);
    header.op = static_cast<std::uint16_t>(Op::CreditUpdate);
    header.fwd_cnt = static_cast<std::uint32_t>(text.size());
    bench.receive(header);
  }
  EXPECT_EQ(text.substr(0, 8), " !\"#$%&'");
  EXPECT_EQ(text.substr(72, 4), "\r\n!\"");
  for (std::size_t i = 0; i < text.size(); ++i) ASSERT_EQ(text[i], CharacterGeneratorService::byte_at(i)) << i;
}

TEST(StreamServices, character_generator_refuses_more_streams_than_it_has_and_reuses_them) {
  CharacterGeneratorService service;
  MuxBench bench;
  ASSERT_TRUE(bench.mux->listen(19, service));
  PacketHeader header = MuxBench::header(Op::Request, 0);
  header.dst_port = 19;
  header.buf_alloc = 10;
  for (std::uint32_t i = 0; i <= CharacterGeneratorService::kMaxStreams; ++i) {
    header.src_port = i;
    bench.receive(header);
  }
  bench.serve();
  EXPECT_EQ(bench.counters.refused.value(), 1U);
  header.src_port = 0;
  header.op = static_cast<std::uint16_t>(Op::Rst);
  bench.receive(header);
  bench.serve();
  header.op = static_cast<std::uint16_t>(Op::Request);
  bench.receive(header);
  EXPECT_EQ(bench.counters.refused.value(), 1U);
}

TEST(StreamServices, all_three_listen_once) {
  auto services = std::make_unique<guest::drivers::StreamServices>();
  MuxBench bench;
  EXPECT_TRUE(services->listen(*bench.mux));
  EXPECT_FALSE(services->listen(*bench.mux));
}
}  // namespace
