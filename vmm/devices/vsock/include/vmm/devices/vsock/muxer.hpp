// All connections of one vsock device: packets find their connection, connections take turns.
//
//   tx queue --> handle_packet() --+--> Connection --> Stream (Unix socket)
//                                  +--> no such connection: a RST waits in resets_
//   rx queue <-- produce() <-- resets_, then ready_: connections with output, one packet each in turn
//
// Memory is bounded: a connection's buffer is as large as the credit it was given, credits are small once many are
// open, connections and waiting resets are limited. Nothing waits for a slow connection but itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include "vmm/devices/vsock/connection.hpp"
#include "vmm/devices/vsock/counters.hpp"
#include "vmm/devices/vsock/packet.hpp"

namespace vmm::vsock {

struct Limits {
  std::size_t connections = 4096;
  /// Of one client process, or of the guest as the one that connects; so that one cannot take all.
  std::size_t connections_per_client = 2048;
  /// Receive buffer of a connection, bytes, while all buffers together stay within `buffer_total`; then the small one.
  std::uint32_t buffer = 256 * 1024;
  std::uint32_t buffer_small = 32 * 1024;
  std::uint64_t buffer_total = std::uint64_t{64} << 20;
  std::size_t waiting_resets = 1024;
  std::chrono::milliseconds request_timeout{30'000};
  std::chrono::milliseconds linger{30'000};
};

/// Who a host connection is counted for: a process, or 0 for the guest.
using ClientId = std::int64_t;
inline constexpr ClientId kGuestClient = 0;

/// Connects to the host's listener for a port on behalf of the guest.
class Connector {
 public:
  virtual ~Connector() = default;
  /// @return null if nobody listens there (or does not accept now)
  virtual std::unique_ptr<Stream> connect(std::uint32_t port) = 0;
};

class Muxer {
 public:
  using Clock = std::function<TimePoint()>;

  /// @param connector and counters outlive the multiplexer
  /// @param clock     the time now
  Muxer(std::uint64_t guest_cid, const Limits& limits, Connector& connector, Counters& counters, Clock clock);
  ~Muxer();
  Muxer(const Muxer&) = delete;
  Muxer& operator=(const Muxer&) = delete;

  /// Called whenever something may have become available for the guest, from outside of handle_packet() and produce().
  void on_output(std::function<void()> callback) { output_callback_ = std::move(callback); }

  /// A client asks for a port of the guest. It is refused at once (and told so) when there is no room.
  void connect_from_host(std::unique_ptr<Stream> stream, std::uint32_t guest_port, ClientId client);

  /// May handle_packet() be called? Not while so many resets wait for rx buffers that another might find no room.
  [[nodiscard]] bool can_accept_packet() const { return resets_.size() < limits_.waiting_resets; }
  /// One packet from the tx queue, the reader at its start.
  void handle_packet(virtio::Reader& reader);

  [[nodiscard]] bool has_output() const { return !resets_.empty() || !ready_.empty(); }
  /// Writes the next packet into an rx buffer of more than a header's size. False if there is none after all.
  bool produce(virtio::Writer& writer);

  /// Does anything wait for time to pass? Then expire() is to be called now and then (a second is fine).
  [[nodiscard]] bool has_deadlines() const { return timed_ != 0; }
  void expire();

  /// The guest's driver is gone: established connections end, unanswered ones wait for the next driver.
  void guest_reset();
  struct Delivery {
    bool moved = false;  ///< clients have taken bytes
    bool left = false;   ///< not all of them
  };
  /// The guest is gone: gives clients what they take at once of what it has sent them, and they have not taken.
  Delivery deliver();
  /// The device ends: waiting clients are told `reason`, everything is closed.
  void close_all(std::string_view reason);

  /// The host port that the next connection gets, unless it is taken.
  [[nodiscard]] std::uint32_t next_host_port() const { return next_host_port_; }
  /// @return false if no connection can have that port
  bool set_next_host_port(std::uint32_t port);

  [[nodiscard]] std::size_t connection_count() const { return connections_.size(); }

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    ClientId client;
    bool timed = false;  ///< has a deadline
  };
  using Connections = std::unordered_map<ConnectionKey, Entry, ConnectionKeyHash>;
  struct Reset {
    std::uint64_t from_cid;  ///< whom the guest wrote to; it must see the answer come from there
    ConnectionKey key;
  };

  void accept_from_guest(const ReceivedPacket& packet);
  void answer_with_reset(const ReceivedPacket& packet);
  void handle_bad_packet(const ReceivedPacket& packet, PacketError error);
  void count_error(PacketError error);
  [[nodiscard]] bool has_room_for(ClientId client) const;
  [[nodiscard]] ConnectionConfig config_for(ConnectionKey key) const;
  [[nodiscard]] std::optional<ConnectionKey> free_key(std::uint32_t guest_port);
  void add(ConnectionKey key, std::unique_ptr<Connection> connection, ClientId client);
  void stream_event(ConnectionKey key, Events events);
  void updated(Connections::iterator place);
  Connections::iterator forget(Connections::iterator place);

  std::uint64_t guest_cid_;
  Limits limits_;
  Connector& connector_;
  Counters& counters_;
  Clock clock_;
  std::function<void()> output_callback_;
  Connections connections_;
  std::map<ClientId, std::size_t> per_client_;
  std::deque<ConnectionKey> ready_;  ///< connections with output, each at most once
  std::deque<Reset> resets_;
  std::size_t timed_ = 0;  ///< entries with a deadline
  std::uint64_t buffers_promised_ = 0;
  std::uint32_t next_host_port_;
};

}  // namespace vmm::vsock
