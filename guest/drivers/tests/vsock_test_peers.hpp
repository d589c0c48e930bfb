// The other sides of the vsock protocol for tests: a link that keeps what was sent, a host that speaks packets and
// checks everything a guest promises, handlers that record what they are told.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "abi/vsock.hpp"
#include "guest/drivers/vsock_mux.hpp"

namespace guest::drivers::testing {

using abi::vsock::Op;
using abi::vsock::PacketHeader;

inline constexpr std::uint64_t kGuestCid = 52;

struct Packet {
  PacketHeader header{};
  std::vector<std::byte> payload;
  [[nodiscard]] Op op() const { return static_cast<Op>(header.op.value()); }
};

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* const from = reinterpret_cast<const std::byte*>(text.data());
  return {from, from + text.size()};
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class FakeLink final : public VsockLink {
 public:
  std::size_t payload_room() override { return room_packets == 0 ? 0 : largest_payload; }
  bool send(const PacketHeader& header, std::span<const std::byte> payload) override {
    if (room_packets == 0 || payload.size() > largest_payload) return false;
    --room_packets;
    sent.push_back({header, {payload.begin(), payload.end()}});
    return true;
  }
  void request_service() override { service_requested = true; }
  bool idle() override { return sent.empty(); }

  std::deque<Packet> sent;
  std::size_t room_packets = 1'000'000;
  std::size_t largest_payload = 65492;
  bool service_requested = false;
};

class MallocBuffers final : public BufferMemory {
 public:
  std::byte* allocate(std::size_t bytes) override {
    if (bytes > left_bytes) return nullptr;
    auto* const block = new std::byte[bytes];
    blocks[block] = bytes;
    left_bytes -= bytes;
    return block;
  }
  void free(std::byte* block) override {
    ASSERT_TRUE(blocks.contains(block));
    left_bytes += blocks[block];
    blocks.erase(block);
    delete[] block;
  }
  ~MallocBuffers() {
    for (const auto& [block, bytes] : blocks) delete[] block;
  }
  std::map<std::byte*, std::size_t> blocks;
  std::size_t left_bytes = 64 << 20;
};

/// Records calls; reads everything unless told to hold.
class Recorder final : public kernel::StreamHandler {
 public:
  void on_readable(kernel::Stream& stream) override {
    EXPECT_EQ(closed, 0);
    ++readable;
    if (!hold) drain(stream);
    if (stream.receive_ended()) ended = true;
    if (ended && close_at_end) stream.close();
  }
  void on_writable(kernel::Stream& stream) override {
    EXPECT_EQ(closed, 0);
    ++writable;
    pump(stream);
  }
  void on_closed(kernel::Stream&) override { ++closed; }

  void drain(kernel::Stream& stream) {
    std::byte buffer[1000];
    for (std::size_t n = stream.read(buffer); n != 0; n = stream.read(buffer)) received.append(text_of({buffer, n}));
  }
  /// Sends what is left of `to_send`.
  void pump(kernel::Stream& stream) {
    while (!to_send.empty()) {
      const auto bytes = bytes_of(to_send);
      const std::size_t n = stream.write(bytes);
      to_send.erase(0, n);
      if (n != bytes.size()) return;
    }
  }

  bool hold = false;
  bool close_at_end = true;
  std::string received;
  std::string to_send;
  int readable = 0, writable = 0, closed = 0;
  bool ended = false;
};

class RecordingListener final : public kernel::StreamListener {
 public:
  kernel::StreamHandler* on_connect(kernel::Stream& stream, std::uint32_t peer_port) override {
    last_stream = &stream;
    last_peer_port = peer_port;
    if (refuse) return nullptr;
    handlers.push_back(std::make_unique<Recorder>());
    Recorder& handler = *handlers.back();
    handler.hold = hold;
    handler.to_send = greeting;
    if (!greeting.empty()) handler.pump(stream);
    if (close_at_once) stream.close();
    if (reset_at_once) stream.reset();
    return &handler;
  }
  Recorder& handler() { return *handlers.back(); }

  bool refuse = false, hold = false, close_at_once = false, reset_at_once = false;
  std::string greeting;
  kernel::Stream* last_stream = nullptr;
  std::uint32_t last_peer_port = 0;
  std::vector<std::unique_ptr<Recorder>> handlers;
};

/// A multiplexer with one listener on kPort and a host that sends raw packets.
struct MuxBench {
  static constexpr std::uint32_t kPort = 5000;

  explicit MuxBench(const VsockMux::Limits& limits = {}) {
    mux = std::make_unique<VsockMux>(link, memory, counters, limits);
    EXPECT_TRUE(mux->listen(kPort, listener));
    mux->start(kGuestCid);
  }

  static PacketHeader header(Op op, std::uint32_t host_port, std::uint32_t len = 0) {
    return {.src_cid = abi::vsock::kHostCid,
            .dst_cid = kGuestCid,
            .src_port = host_port,
            .dst_port = kPort,
            .len = len,
            .type = abi::vsock::kTypeStream,
            .op = static_cast<std::uint16_t>(op),
            .flags = 0,
            .buf_alloc = 256 * 1024,
            .fwd_cnt = 0};
  }
  void receive(const PacketHeader& packet_header, std::span<const std::byte> payload = {}) {
    ASSERT_TRUE(mux->can_receive());
    std::vector<std::byte> packet(sizeof(packet_header) + payload.size());
    std::memcpy(packet.data(), &packet_header, sizeof(packet_header));
    if (!payload.empty()) std::memcpy(packet.data() + sizeof(packet_header), payload.data(), payload.size());
    mux->receive(packet);
  }
  void receive(Op op, std::uint32_t host_port, std::string_view text = {}) {
    receive(header(op, host_port, static_cast<std::uint32_t>(text.size())), bytes_of(text));
  }
  void shutdown(std::uint32_t host_port, std::uint32_t flags) {
    PacketHeader packet_header = header(Op::Shutdown, host_port);
    packet_header.flags = flags;
    receive(packet_header);
  }
  void serve() {
    for (int i = 0; i < 100 && link.service_requested; ++i) {
      link.service_requested = false;
      mux->service();
    }
  }
  /// Serves, then takes what was sent.
  std::vector<Packet> sent() {
    serve();
    std::vector<Packet> packets(link.sent.begin(), link.sent.end());
    link.sent.clear();
    return packets;
  }
  /// The operations of what was sent, for short comparisons.
  std::vector<Op> sent_ops() {
    std::vector<Op> ops;
    for (const Packet& packet : sent()) ops.push_back(packet.op());
    return ops;
  }
  void open(std::uint32_t host_port) {
    receive(Op::Request, host_port);
    ASSERT_EQ(sent_ops(), std::vector<Op>{Op::Response});
  }

  FakeLink link;
  MallocBuffers memory;
  VsockCounters counters;
  RecordingListener listener;
  std::unique_ptr<VsockMux> mux;
};

}  // namespace guest::drivers::testing
