// All vsock connections: packets find theirs, connections take turns. No hardware: packets come in by receive() and go
// out through a VsockLink.
//
//   receive(packet) --+--> connection --> StreamHandler
//                     +--> no such connection: a RST waits in resets_
//   service() --> resets_, packets that are due, writers in turn, on_closed()
//
// Memory is bounded: a fixed table of connections, each with a window fixed when it opens (small ones once the large
// ones sum up to a limit) that takes memory only for bytes that nobody reads. A connection that closes waits for the
// peer's RST without a timer; when the table is full the oldest of those is given up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/vsock.hpp"
#include "guest/drivers/vsock_connection.hpp"
#include "guest/drivers/vsock_link.hpp"
#include "guest/kernel/stream.hpp"

namespace guest::drivers {

/// From the main loop only.
class VsockMux final : public kernel::StreamTransport {
 public:
  static constexpr std::size_t kMaxConnections = 256;
  static constexpr std::size_t kMaxListeners = 32;
  static constexpr std::size_t kMaxWaitingResets = 128;

  struct Limits {
    std::uint32_t window_bytes = 128 * 1024;  ///< receive window of a connection
    std::uint32_t small_window_bytes = 16 * 1024;
    std::uint32_t large_windows_total_bytes = 8 * 1024 * 1024;  ///< beyond this, connections get small windows
    std::uint32_t turn_bytes = 128 * 1024;                      ///< what one handler may write in one turn
  };

  VsockMux(VsockLink& link, BufferMemory& memory, VsockCounters& counters, const Limits& limits);
  VsockMux(const VsockMux&) = delete;
  VsockMux& operator=(const VsockMux&) = delete;

  bool listen(std::uint32_t port, kernel::StreamListener& listener) override;
  [[nodiscard]] kernel::Result<kernel::Stream*> connect(std::uint32_t port, kernel::StreamHandler& handler) override;
  [[nodiscard]] bool drained() override;

  /// The guest's address; before the first packet, and again after the transport was reset.
  void start(std::uint64_t guest_cid);
  /// The transport was reset or is gone: every connection ends without a word. on_closed() follows from service().
  void stop();

  /// receive() has room for its answer. Not while too many RSTs wait: then the peer is made to wait, so that none is
  /// lost (VIRTIO 1.2, Socket Device, Virtqueue Handling, allows it once such extra resources are used up).
  [[nodiscard]] bool can_receive() const { return kMaxWaitingResets - reset_count_ >= 2; }
  /// One packet of the host, header and payload, exactly as long as the device said. The bytes stay as they are during
  /// the call and are not needed afterwards.
  void receive(std::span<const std::byte> packet);
  /// Sends what is due, gives waiting writers their turn, tells handlers that their stream is gone.
  void service();
  /// Something waits for room in the link.
  [[nodiscard]] bool wants_room() const { return reset_count_ != 0 || !pending_.empty() || !writers_.empty(); }

 private:
  friend class VsockConnection;
  using State = VsockConnection::State;
  struct Listener {
    std::uint32_t port = 0;
    kernel::StreamListener* listener = nullptr;
  };
  struct WaitingReset {
    VsockKey key;
    std::uint16_t type = 0;
  };
  static constexpr std::size_t kBuckets = 256;
  static constexpr std::uint32_t kFirstEphemeralPort = 0x8000'0000;

  // Table.
  [[nodiscard]] VsockConnection* find(const VsockKey& key) const;
  static std::size_t bucket(const VsockKey& key);
  VsockConnection* open(const VsockKey& key);
  bool evict();
  void unlink(VsockConnection& connection);
  void release_if_done(VsockConnection& connection);

  // Packets in.
  void answer_with_reset(const VsockKey& key, std::uint16_t type);
  void accept(const VsockKey& key, const abi::vsock::PacketHeader& header);
  void deliver(VsockConnection& connection, abi::vsock::Op op, const abi::vsock::PacketHeader& header,
               std::span<const std::byte> payload);
  void deliver_open(VsockConnection& connection, abi::vsock::Op op, const abi::vsock::PacketHeader& header,
                    std::span<const std::byte> payload);
  void deliver_data(VsockConnection& connection, std::span<const std::byte> payload);
  void deliver_shutdown(VsockConnection& connection, std::uint32_t flags);
  void deliver_response(VsockConnection& connection);
  void update_credit(VsockConnection& connection, const abi::vsock::PacketHeader& header);
  void violation(VsockConnection& connection, kernel::Counter& reason);

  // Packets out.
  bool emit(VsockConnection& connection, abi::vsock::Op op, std::span<const std::byte> payload = {});
  bool flush_pending(VsockConnection& connection);
  void flush_all_pending();
  void flush_resets();
  void serve_writers();
  void tell_closed();

  // Steps of a connection.
  void want(VsockConnection& connection, VsockConnection::Pending what);
  void want_turn(VsockConnection& connection);
  void end(VsockConnection& connection, bool send_reset, kernel::Counter& reason);
  void linger(VsockConnection& connection);
  void settle(VsockConnection& connection);

  VsockLink& link_;
  BufferMemory& memory_;
  VsockCounters& counters_;
  Limits limits_;
  std::uint64_t guest_cid_ = 0;
  bool running_ = false;
  std::uint64_t large_windows_bytes_ = 0;
  std::uint32_t next_port_ = kFirstEphemeralPort;
  VsockConnection* turn_ = nullptr;       ///< whose on_writable() runs
  VsockConnection* accepting_ = nullptr;  ///< whose on_connect() runs

  std::array<Listener, kMaxListeners> listeners_{};
  std::size_t listener_count_ = 0;
  std::array<WaitingReset, kMaxWaitingResets> resets_{};
  std::size_t reset_start_ = 0;
  std::size_t reset_count_ = 0;
  std::array<VsockConnection, kMaxConnections> table_;
  std::array<VsockConnection*, kBuckets> buckets_{};
  kernel::IntrusiveList<VsockConnection, &VsockConnection::age_link_> free_;
  kernel::IntrusiveList<VsockConnection, &VsockConnection::age_link_> lingering_;
  kernel::IntrusiveList<VsockConnection, &VsockConnection::pending_link_> pending_;
  kernel::IntrusiveList<VsockConnection, &VsockConnection::writer_link_> writers_;
  kernel::IntrusiveList<VsockConnection, &VsockConnection::closed_link_> closed_;
};

}  // namespace guest::drivers
