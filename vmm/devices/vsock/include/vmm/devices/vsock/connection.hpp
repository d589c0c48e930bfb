// One vsock connection: the state machine between a host stream and the guest's packets.
//
//   client --CONNECT--> Requesting --REQUEST--> ... guest: RESPONSE --> Established
//                           |  guest: RST -> refused      timeout -> refused      client leaves -> RST
//   guest  --REQUEST--> (stream connected) --RESPONSE--> Established
//
// In Established each direction ends on its own:
//
//   host reads end of stream  -> SHUTDOWN(send) to the guest; the guest may go on sending
//   host refuses to be written-> SHUTDOWN(receive); what still arrives is thrown away
//   guest SHUTDOWN(send)      -> after everything buffered is written, the host stream is shut for writing
//   guest SHUTDOWN(receive)   -> the host stream is shut for reading
//   both ended by the guest   -> RST, the answer that completes an orderly close
//   both ended by the host    -> SHUTDOWN(both), the stream is closed, and the guest's RST completes it; a guest that
//                                neither answers nor takes data for the linger time gets a RST
//
// Credit (VIRTIO 1.2, Socket Device, Buffer Space Management): tx_cnt, rx_cnt and fwd_cnt are 32-bit counts that wrap
// on purpose; only their differences mean something.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "vmm/devices/vsock/byte_ring.hpp"
#include "vmm/devices/vsock/counters.hpp"
#include "vmm/devices/vsock/packet.hpp"
#include "vmm/devices/vsock/stream.hpp"

namespace vmm::vsock {

using TimePoint = std::chrono::steady_clock::time_point;

/// How a connection ended.
enum class End : std::uint8_t {
  None,  ///< it has not
  Closed,
  ResetByGuest,
  ResetByHost,
  RefusedByGuest,
  TimedOut,
  Abandoned,
};

struct ConnectionConfig {
  ConnectionKey key;
  std::uint64_t guest_cid = 0;
  std::uint32_t buf_alloc_bytes = 0;                  ///< what the guest may send ahead of the client's reading
  std::chrono::milliseconds request_timeout{30'000};  ///< from the REQUEST's delivery to its answer
  std::chrono::milliseconds linger{30'000};  ///< without progress, after both directions were ended by the host
};

class Connection {
 public:
  /// A client wants to connect: the guest is to be asked.
  static std::unique_ptr<Connection> from_host(const ConnectionConfig& config, std::unique_ptr<Stream> stream,
                                               Counters& counters);
  /// The guest connects, and `stream` is the host's listener on the port.
  static std::unique_ptr<Connection> from_guest(const ConnectionConfig& config, std::unique_ptr<Stream> stream,
                                                const PacketHeader& request, Counters& counters);

  /// A packet from the guest; `payload` holds at least its len bytes.
  void handle(const ReceivedPacket& packet, virtio::Reader& payload, TimePoint now);
  /// Something happened on the stream.
  void stream_event(Events events);

  /// Is there probably a packet for the guest?
  [[nodiscard]] bool has_output() const;
  /// Writes one packet for the guest, if there is one after all.
  /// @param writer an rx buffer of more than a header's size, at its start
  /// @return false if nothing was written
  bool produce(virtio::Writer& writer, TimePoint now);

  /// When expire() has to be called, if ever.
  [[nodiscard]] std::optional<TimePoint> deadline() const { return deadline_; }
  void expire(TimePoint now);

  /// The guest has no more to send: gives the client what it takes at once of what waits here.
  /// @return how many bytes that were
  std::size_t deliver();
  [[nodiscard]] std::size_t undelivered() const { return buffer_.size(); }

  /// The guest's driver is gone. A connection that the guest had not answered waits for the next driver; any other
  /// ends.
  void guest_reset();
  /// Ends it from our side: the client hears `reason` if it still waits, the guest gets a RST.
  void abort(std::string_view reason);

  /// True when nothing is left to do but to forget it.
  [[nodiscard]] bool finished() const { return end_ != End::None && pending_ == 0; }
  [[nodiscard]] End end() const { return end_; }
  [[nodiscard]] bool established() const { return state_ == State::Established; }
  [[nodiscard]] const ConnectionConfig& config() const { return config_; }

  bool queued = false;  ///< for the multiplexer: it is in the list of those with output

 private:
  enum class State : std::uint8_t { Requesting, Established };
  /// Packets that are due, as bits of pending_.
  enum Pending : std::uint8_t {
    kReset = 1,
    kRequest = 2,
    kResponse = 4,
    kShutdown = 8,
    kCreditUpdate = 16,
    kCreditRequest = 32,
  };

  Connection(const ConnectionConfig& config, std::unique_ptr<Stream> stream, Counters& counters, State state);
  void update_credit(const PacketHeader& header);
  void handle_requesting(const ReceivedPacket& packet);
  void handle_established(const ReceivedPacket& packet, virtio::Reader& payload);
  void receive(std::uint32_t bytes, virtio::Reader& payload);
  void pass_on(std::size_t bytes, virtio::Reader& payload);
  void flush();
  void forwarded(std::size_t bytes);
  void host_stopped_reading();
  void host_gone();
  void want_shutdown(std::uint32_t flags);
  void settle();
  void finish(End end, bool send_reset);
  void violation(Counter& reason);
  [[nodiscard]] std::uint32_t peer_credit() const;
  [[nodiscard]] bool can_send_data() const;
  [[nodiscard]] bool must_ask_for_credit() const;
  bool produce_data(virtio::Writer& writer);
  void emit(virtio::Writer& writer, Op op, std::uint32_t payload_bytes = 0, std::uint32_t flags = 0);
  bool emit_pending(virtio::Writer& writer, Pending what, Op op);
  void watch_stream();

  ConnectionConfig config_;
  std::unique_ptr<Stream> stream_;  ///< null once the host's side is over
  Counters& counters_;
  State state_;
  End end_ = End::None;
  std::uint8_t pending_ = 0;
  std::optional<TimePoint> deadline_;

  // Towards the guest.
  std::uint32_t tx_cnt_ = 0;
  std::uint32_t peer_buf_alloc_ = 0;
  std::uint32_t peer_fwd_cnt_ = 0;
  std::uint32_t progress_mark_ = 0;  ///< peer_fwd_cnt_ when the linger time was started
  bool request_sent_ = false;
  bool readable_ = false;          ///< the stream may have data (or its end)
  bool asked_for_credit_ = false;  ///< once for each time it runs out
  bool host_eof_ = false;
  std::uint32_t our_shutdown_ = 0;  ///< flags told or about to be told to the guest

  // From the guest.
  std::uint32_t rx_cnt_ = 0;
  std::uint32_t fwd_cnt_ = 0;
  std::uint32_t fwd_cnt_told_ = 0;
  ByteRing buffer_;
  bool discard_ = false;  ///< nobody reads on the host any more
  bool write_shut_ = false;
  std::uint32_t peer_shutdown_ = 0;
};

}  // namespace vmm::vsock
