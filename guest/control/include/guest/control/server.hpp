// The control server: Hello, Call and Cancel frames over streams, one Reply or Error for each.
//
//   connection   [input: one frame] -> dispatch -> handler -> [output: encoded replies] -> stream
//
// A request that was taken in is answered by exactly one frame, or its connection ends.
//
// A connection whose peer does not read stops being read once its output passes kMaxPendingOutput: memory stays bounded
// and no reply is dropped. Requests of one connection start in order; those that complete later are answered when they
// complete. Events of calls that have not been answered share the output with the replies, as far as there is room.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "abi/control.hpp"
#include "guest/control/services.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/stream.hpp"
#include "guest/security/authority.hpp"

namespace guest::control {

inline constexpr std::size_t kMaxConnections = 192;           ///< the last one is for telling that there is no room
inline constexpr std::size_t kMaxPendingCalls = 32;           ///< of one connection
inline constexpr std::size_t kMaxPendingOutput = 128 * 1024;  ///< of one connection, bytes
/// With so much waiting, bytes, no event is added: the rest is for replies, and a frame of any length fits.
inline constexpr std::size_t kMaxEventOutput = kMaxPendingOutput / 2;
/// Longest payload before a Hello was accepted: strangers take up little memory.
inline constexpr std::uint32_t kMaxHelloPayload = 1024;
/// Answers of one turn are sent together up to this size, bytes.
inline constexpr std::size_t kFlushBytes = 16 * 1024;
/// While no requests are taken it is looked at so often whether they may be.
inline constexpr std::uint64_t kHeldDelayNs = 2'000'000;
/// Longest wait of a power request for those who follow something, who may be stuck.
inline constexpr std::uint64_t kPowerPatienceNs = 2'000'000'000;
/// Requests of one connection that are taken before others have their turn.
inline constexpr unsigned kRequestsPerTurn = 64;
/// Refused Hellos and requests without one, after which a connection is closed.
inline constexpr unsigned kMaxStrikes = 8;
/// With more connections than this open, time limits hold. They only protect the table; with room in it no timer is
/// armed, since a guest whose clock jumps to the next timer when idle (icount, sleep=off) would reach one at once.
inline constexpr std::size_t kScarceConnections = kMaxConnections * 3 / 4;
/// Of those that come through the legacy socket, which may be open to everybody on the host: others find room, too.
inline constexpr std::size_t kMaxLegacyConnections = 64;
/// With more of them open than this, time limits hold for them.
inline constexpr std::size_t kScarceLegacyConnections = kMaxLegacyConnections * 3 / 4;
/// A connection says Hello within this time.
inline constexpr std::uint64_t kHelloTimeoutNs = 30'000'000'000;
/// A connection that is being closed is reset when its peer has taken nothing for this long.
inline constexpr std::uint64_t kCloseTimeoutNs = 30'000'000'000;
/// A power request waits this long for its requester to close the connection.
inline constexpr std::uint64_t kPowerDelayNs = 500'000'000;

/// At rest (no call waits, no output): requests = replies_ok + replies_error + unanswered.
struct ServerCounters {
  kernel::Counter connections{"control_connections"};
  kernel::Counter connections_open{"control_connections_open"};
  kernel::Counter connections_refused{"control_connections_refused"};
  kernel::Counter requests{"control_requests"};            ///< frames taken in, whatever is wrong with them
  kernel::Counter replies_ok{"control_replies_ok"};        ///< Reply frames handed to the transport whole
  kernel::Counter replies_error{"control_replies_error"};  ///< Error frames for a request, likewise
  kernel::Counter notices{"control_notices"};              ///< Error frames that answer no request
  kernel::Counter events{"control_events"};                ///< Event frames handed to the transport whole
  kernel::Counter unanswered{"control_unanswered"};        ///< requests whose connection went before their answer
  kernel::Counter tokens_accepted{"control_tokens_accepted"};
  kernel::Counter tokens_refused{"control_tokens_refused"};
  kernel::Counter bad_frames{"control_bad_frames"};
  kernel::Counter timeouts{"control_timeouts"};  ///< connections that did not say Hello, or took nothing, in time
  /// Errors by code, when they are made: "control_error_" and the code with '_' for '-'; those of graphs
  /// (abi::control::error::kGraphPrefix) together, those of packages and their models (kPackagePrefix,
  /// kModelPrefix), and those of requests to models.
  std::array<kernel::Counter, 22> errors{
      kernel::Counter{"control_error_malformed_frame"},  kernel::Counter{"control_error_unsupported_version"},
      kernel::Counter{"control_error_unknown_command"},  kernel::Counter{"control_error_too_large"},
      kernel::Counter{"control_error_malformed_cbor"},   kernel::Counter{"control_error_unauthenticated"},
      kernel::Counter{"control_error_token_invalid"},    kernel::Counter{"control_error_token_expired"},
      kernel::Counter{"control_error_token_revoked"},    kernel::Counter{"control_error_forbidden"},
      kernel::Counter{"control_error_unknown_op"},       kernel::Counter{"control_error_missing_argument"},
      kernel::Counter{"control_error_unknown_argument"}, kernel::Counter{"control_error_bad_argument"},
      kernel::Counter{"control_error_not_found"},        kernel::Counter{"control_error_busy"},
      kernel::Counter{"control_error_cancelled"},        kernel::Counter{"control_error_failed"},
      kernel::Counter{"control_error_unavailable"},      kernel::Counter{"control_error_graph"},
      kernel::Counter{"control_error_package"},          kernel::Counter{"control_error_llm"},
  };

  void register_all(kernel::CounterRegistry& registry);
  void count_error(std::string_view code);
};

/// By which way a connection came.
enum class Origin : std::uint8_t {
  ControlPort,   ///< abi::control::kPort: versions 0 and 1
  LegacySocket,  ///< abi::control::kLegacyPort: version 0, and the development token is accepted
};

class Connection;

/// Runs in the main loop.
class Server final : public kernel::StreamListener, private security::Authority::Watcher {
 public:
  /// `services` outlives the server; the server outlives its streams.
  Server(Services& services, kernel::WorkQueue& work);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  kernel::StreamHandler* on_connect(kernel::Stream& stream, std::uint32_t peer_port) override;
  /// For abi::control::kLegacyPort, in a machine whose scenario has a legacy socket.
  [[nodiscard]] kernel::StreamListener& legacy_listener() { return legacy_listener_; }
  [[nodiscard]] const ServerCounters& counters() const { return counters_; }

 private:
  friend class Connection;
  friend class Version0;
  class LegacyListener final : public kernel::StreamListener {
   public:
    explicit LegacyListener(Server& server) : server_(server) {}
    kernel::StreamHandler* on_connect(kernel::Stream& stream, std::uint32_t) override {
      return server_.open(stream, Origin::LegacySocket);
    }

   private:
    Server& server_;
  };

  kernel::StreamHandler* open(kernel::Stream& stream, Origin origin);
  void forget(Connection& connection);
  void schedule_power();
  [[nodiscard]] bool owes_events() const;
  /// Now, or when who must have the whole audit log has it, and events have been sent or kPowerPatienceNs have passed.
  void carry_out_power_request();
  /// No requests are taken: the audit log is crowded, or the power is about to go.
  [[nodiscard]] bool is_held() const;
  /// The connection has more input than its turn allowed.
  void schedule_turn() { work_.raise(turn_item_); }
  /// Or none is taken now, and it may have some.
  void schedule_turn_later();
  void give_turns();
  /// Time limits hold for connections that came this way.
  [[nodiscard]] bool scarce(Origin origin) const;
  /// The connection has another deadline.
  void watch(const Connection& connection);
  void sweep();
  // security::Authority::Watcher. In the middle of a handler, so that connections hear of it from the loop.
  void grants_changed() override { work_.raise(grants_item_); }
  void check_grants();
  /// A call waits on a connection whose grant ends at this time.
  void watch_expiry(std::uint64_t expires_unix_ns);

  Services& services_;
  kernel::WorkQueue& work_;
  ServerCounters counters_;
  LegacyListener legacy_listener_{*this};
  std::size_t legacy_open_ = 0;  ///< connections that came through the legacy socket
  std::array<std::unique_ptr<Connection>, kMaxConnections> connections_;
  /// A reply is built here, then copied to its connection. Prefix and body.
  std::unique_ptr<std::array<std::byte, abi::control::kMaxPayloadBytes + 8>> reply_;
  kernel::WorkItem turn_item_;
  kernel::Timer turn_timer_;
  std::size_t next_turn_ = 0;  ///< whose is the first of the next turns
  kernel::WorkItem power_item_;
  kernel::Timer power_timer_;
  std::uint64_t power_by_ns_ = 0;  ///< not 0: a power request waits, at most until then
  kernel::WorkItem sweep_item_;
  kernel::Timer sweep_timer_;
  std::uint64_t sweep_at_ns_ = 0;
  kernel::WorkItem grants_item_;
  kernel::Timer expiry_timer_;
  std::uint64_t expiry_at_ns_ = 0;
  std::uint32_t last_connection_ = 0;  ///< number of the newest connection
};

}  // namespace guest::control
