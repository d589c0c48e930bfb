// A host stream for tests: what the client sends and how much it takes is set by the test.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "vmm/devices/vsock/packet.hpp"
#include "vmm/devices/vsock/stream.hpp"
#include "vmm/virtio/descriptor_chain.hpp"

namespace vmm::vsock {

/// The client's side of a FakeStream; outlives it.
struct FakePeer {
  std::string to_guest;          ///< not yet read by the device
  bool ended = false;            ///< reading gives the end of the stream behind to_guest
  bool broken = false;           ///< reading and writing fail
  bool refuses = false;          ///< writing gives "nobody reads"
  std::size_t takes = SIZE_MAX;  ///< bytes that may still be written
  std::string from_guest;        ///< written by the device
  bool saw_end = false;          ///< shutdown_write() was called
  bool read_shut = false;        ///< shutdown_read() was called
  bool destroyed = false;
  Interest watched = Interest::None;
  std::uint32_t opened_port = 0;
  std::string refusal;
  std::function<void(Events)> callback;
};

class FakeStream final : public Stream {
 public:
  explicit FakeStream(FakePeer& peer) : peer_(peer) {}
  ~FakeStream() override {
    peer_.destroyed = true;
    peer_.watched = Interest::None;
  }

  Transfer read(std::span<const iovec> to) override {
    if (peer_.broken) return {Outcome::Failed};
    if (peer_.to_guest.empty()) return {peer_.ended ? Outcome::Closed : Outcome::WouldBlock};
    std::size_t total = 0;
    for (const iovec& range : to) {
      const std::size_t count = std::min(range.iov_len, peer_.to_guest.size());
      std::memcpy(range.iov_base, peer_.to_guest.data(), count);
      peer_.to_guest.erase(0, count);
      total += count;
    }
    return {Outcome::Done, total};
  }
  Transfer write(std::span<const iovec> from) override {
    if (peer_.broken) return {Outcome::Failed};
    if (peer_.refuses) return {Outcome::Closed};
    if (peer_.takes == 0) return {Outcome::WouldBlock};
    std::size_t total = 0;
    for (const iovec& range : from) {
      const std::size_t count = std::min(range.iov_len, peer_.takes);
      peer_.from_guest.append(static_cast<const char*>(range.iov_base), count);
      peer_.takes -= count;
      total += count;
    }
    return {Outcome::Done, total};
  }
  void shutdown_write() override { peer_.saw_end = true; }
  void shutdown_read() override { peer_.read_shut = true; }
  void attach(std::function<void(Events)> callback) override { peer_.callback = std::move(callback); }
  void watch(Interest interest) override { peer_.watched = interest; }
  void opened(std::uint32_t host_port) override { peer_.opened_port = host_port; }
  void refused(std::string_view reason) override { peer_.refusal = reason; }

 private:
  FakePeer& peer_;
};

inline std::unique_ptr<Stream> stream_to(FakePeer& peer) { return std::make_unique<FakeStream>(peer); }

/// A packet as its receiver sees it.
struct Seen {
  PacketHeader header{};
  std::string payload;
  [[nodiscard]] Op op() const { return static_cast<Op>(header.op.value()); }
};

/// Room for one packet to the guest.
class PacketRoom {
 public:
  explicit PacketRoom(std::size_t bytes = 4096)
      : bytes_(bytes, '\0'), slice_(std::as_writable_bytes(std::span(bytes_)).data(), bytes) {}
  [[nodiscard]] virtio::Writer writer() const { return virtio::Writer(std::span(&slice_, 1)); }
  [[nodiscard]] Seen seen(std::size_t written) const {
    Seen packet;
    std::memcpy(&packet.header, bytes_.data(), sizeof packet.header);
    packet.payload = bytes_.substr(sizeof packet.header, written - sizeof packet.header);
    return packet;
  }

 private:
  std::string bytes_;
  GuestSlice slice_;
};

/// A packet from the guest, as bytes that a Reader can go over.
class GuestPacket {
 public:
  GuestPacket(PacketHeader header, std::string_view payload) : bytes_(sizeof header, '\0') {
    std::memcpy(bytes_.data(), &header, sizeof header);
    bytes_ += payload;
    slice_ = GuestSlice(std::as_writable_bytes(std::span(bytes_)).data(), bytes_.size());
  }
  GuestPacket(const GuestPacket&) = delete;
  GuestPacket& operator=(const GuestPacket&) = delete;
  [[nodiscard]] virtio::Reader reader() const { return virtio::Reader(std::span(&slice_, 1)); }

 private:
  std::string bytes_;
  GuestSlice slice_;
};

}  // namespace vmm::vsock
