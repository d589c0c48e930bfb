// A hostile guest's packets against the multiplexer: the input is a list of events of guest, clients and time. What
// must hold: no memory error, bounded memory, and every connection counted exactly once at its end.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>

#include "../tests/fake_stream.hpp"
#include "vmm/devices/vsock/muxer.hpp"

using namespace vmm;
using namespace vmm::vsock;

namespace {

constexpr std::uint64_t kCid = 3;

class Fuzzed : private Connector {
 public:
  void run(std::span<const std::uint8_t> input) {
    while (input.size() >= 8) {
      step(input.first<8>());
      input = input.subspan(8);
    }
    muxer_.close_all("end");
    const std::uint64_t made = counters_.connections_from_host + counters_.connections_from_guest;
    const std::uint64_t ended = counters_.closed + counters_.reset_by_guest + counters_.reset_by_host +
                                counters_.refused_by_guest + counters_.timed_out + counters_.abandoned;
    if (made != ended || counters_.open != 0 || muxer_.connection_count() != 0) __builtin_trap();
  }

 private:
  std::unique_ptr<Stream> connect(std::uint32_t port) override {
    return port % 2 == 0 ? stream_to(peers_.emplace_back()) : nullptr;
  }
  void step(std::span<const std::uint8_t, 8> bytes) {
    switch (bytes[0] % 8) {
      case 0:
      case 1:
      case 2:
        return packet(bytes);
      case 3:
      case 4:
        return produce(bytes[1]);
      case 5:
        return client(bytes);
      case 6:
        muxer_.connect_from_host(stream_to(peers_.emplace_back()), bytes[1] % 4, bytes[2] % 3 + 1);
        return;
      default:
        now_ += std::chrono::seconds(bytes[1]);
        muxer_.expire();
        if (bytes[2] == 0) muxer_.guest_reset();
    }
  }
  void packet(std::span<const std::uint8_t, 8> bytes) {
    if (!muxer_.can_accept_packet()) return;
    PacketHeader header{};
    header.src_cid = bytes[1] == 1 ? 9 : kCid;
    header.dst_cid = bytes[1] == 2 ? 9 : abi::vsock::kHostCid;
    header.src_port = bytes[2] % 4;
    // Ports of connections that clients made count up from 2^30; the guest's own go to small ones.
    header.dst_port = (bytes[2] & 0x80) != 0 ? (1u << 30) + bytes[3] % 16 : bytes[3] % 4;
    const std::size_t payload = bytes[4];
    header.len = static_cast<std::uint32_t>(bytes[1] == 3 ? payload * 7 : payload);
    header.type = bytes[1] == 4 ? 2 : 1;
    header.op = bytes[5] % 10;
    header.flags = bytes[5] >> 4;
    header.buf_alloc = bytes[6] * 3u;
    header.fwd_cnt = bytes[7];
    const GuestPacket made(header, std::string(payload, 'g'));
    virtio::Reader reader = made.reader();
    if (bytes[1] == 5) reader = virtio::Reader();
    muxer_.handle_packet(reader);
  }
  void produce(std::uint8_t room_bytes) {
    const PacketRoom room(sizeof(PacketHeader) + 1 + room_bytes);
    virtio::Writer writer = room.writer();
    const bool produced = muxer_.produce(writer);
    if (produced != (writer.consumed() >= sizeof(PacketHeader))) __builtin_trap();
    if (!produced && writer.consumed() != 0) __builtin_trap();
    if (produced && room.seen(writer.consumed()).header.len != room.seen(writer.consumed()).payload.size()) {
      __builtin_trap();
    }
  }
  void client(std::span<const std::uint8_t, 8> bytes) {
    if (peers_.empty()) return;
    FakePeer& peer = peers_[bytes[1] % peers_.size()];
    if (peer.destroyed || peer.watched == Interest::None) return;
    peer.to_guest.append(bytes[2], 'h');
    peer.takes = bytes[3];
    peer.ended = (bytes[4] & 1) != 0;
    peer.refuses = (bytes[4] & 2) != 0;
    peer.broken = (bytes[4] & 4) != 0;
    const auto callback = peer.callback;
    callback({.readable = (bytes[5] & 1) != 0,
              .writable = (bytes[5] & 2) != 0,
              .hangup = (bytes[5] & 4) != 0,
              .error = (bytes[5] & 8) != 0});
  }

  std::deque<FakePeer> peers_;  ///< outlive the streams
  Counters counters_;
  TimePoint now_{};
  Muxer muxer_{kCid,
               {.connections = 12,
                .connections_per_client = 6,
                .buffer = 300,
                .buffer_small = 50,
                .buffer_total = 1000,
                .waiting_resets = 8},
               *this,
               counters_,
               [this] { return now_; }};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Fuzzed().run({data, size});
  return 0;
}
