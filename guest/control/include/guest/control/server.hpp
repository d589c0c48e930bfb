// The control server: Hello, Call and Cancel frames over streams, one Reply or Error for each.
//
//   connection   [input: one frame] -> dispatch -> handler -> [output: encoded replies] -> stream
//
// A connection whose peer does not read stops being read once its output passes kMaxPendingOutput: memory stays bounded
// and no reply is dropped. Requests of one connection start in order; those that complete later are answered when they
// complete.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "abi/control.hpp"
#include "guest/control/services.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/stream.hpp"
#include "guest/security/token.hpp"

namespace guest::control {

inline constexpr std::size_t kMaxConnections = 192;
inline constexpr std::size_t kMaxPendingCalls = 32;           ///< of one connection
inline constexpr std::size_t kMaxPendingOutput = 128 * 1024;  ///< of one connection, bytes
/// A power request waits this long for its requester to close the connection.
inline constexpr std::uint64_t kPowerDelayNs = 500'000'000;

struct ServerCounters {
  kernel::Counter connections{"control_connections"};
  kernel::Counter connections_open{"control_connections_open"};
  kernel::Counter connections_refused{"control_connections_refused"};
  kernel::Counter requests{"control_requests"};            ///< frames taken in
  kernel::Counter replies_ok{"control_replies_ok"};        ///< Reply frames put out
  kernel::Counter replies_error{"control_replies_error"};  ///< Error frames put out
  kernel::Counter unanswered{"control_unanswered"};        ///< calls whose connection went before their answer
  kernel::Counter tokens_refused{"control_tokens_refused"};
  kernel::Counter bad_frames{"control_bad_frames"};

  void register_all(kernel::CounterRegistry& registry);
};

class Connection;

/// Runs in the main loop.
class Server final : public kernel::StreamListener {
 public:
  /// Without a `key` every Hello is refused.
  Server(Services& services, std::optional<security::Key> key);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  kernel::StreamHandler* on_connect(kernel::Stream& stream, std::uint32_t peer_port) override;

 private:
  friend class Connection;
  void forget(Connection& connection);
  [[nodiscard]] std::uint64_t unix_now_ns() const;
  void schedule_power();

  Services& services_;
  std::optional<security::Key> key_;
  ServerCounters counters_;
  std::array<std::unique_ptr<Connection>, kMaxConnections> connections_;
  /// A reply is built here, then copied to its connection. Prefix and body.
  std::unique_ptr<std::array<std::byte, abi::control::kMaxPayloadBytes + 8>> reply_;
  kernel::WorkItem power_item_;
  kernel::Timer power_timer_;
};

}  // namespace guest::control
