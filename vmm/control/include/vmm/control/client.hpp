// A blocking client of the guest's control server (abi/control.hpp), used by the scenario runner and by sisctl.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "abi/control.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/control/error.hpp"
#include "vmm/control/frame.hpp"
#include "vmm/control/stream.hpp"

namespace vmm::control {

using Key = std::array<std::uint8_t, abi::control::kKeyBytes>;

/// Makes a token under `key` (HMAC-SHA-256, libsodium).
abi::control::Token make_token(const Key& key, std::uint32_t id, abi::control::Rights rights,
                               std::uint64_t expires_unix_ns);

/// One connection. Not thread safe: one thread, one Client.
///
/// Requests may be pipelined: send() several, then receive() each by its id in any order. A request whose receive()
/// timed out is given up: its reply, should it still come, is dropped, and the connection stays good. After a
/// ConnectionLost or Protocol error, or a Timeout in the middle of a request being sent, the connection is not: every
/// later call fails at once and says so.
///
/// A call that sends events before it is answered is made with subscribe() and followed with next(); other calls may be
/// made meanwhile. Events of a call that was made with send() or call() are dropped.
class Client {
 public:
  using Deadline = control::Deadline;

  /// Most requests that may wait for their replies at a time; bounds what the replies can take up here.
  static constexpr std::size_t kMaxOutstanding = 1024;

  /// Most events of one subscription that wait for next(); newer ones than these are dropped, and counted.
  static constexpr std::size_t kMaxKeptEvents = 256;

  /// Connects through the machine's hybrid vsock socket ("CONNECT port\n", "OK host_port\n"), waiting for the guest
  /// until `deadline`, and says Hello with `token`.
  static ClientResult<Client> connect(const std::string& socket_path, const abi::control::Token& token,
                                      Deadline deadline);

  /// Says Hello on a stream that is connected already (non-blocking).
  static ClientResult<Client> over(UniqueFd stream, const abi::control::Token& token, Deadline deadline);

  /// Sends {op, args} and waits for its reply. The result is the map under "result". `args`: an object, may be empty.
  ClientResult<nlohmann::json> call(const std::string& op, const nlohmann::json& args, Deadline deadline);

  /// Sends {op, args}. The id of the request, for receive().
  ClientResult<std::uint32_t> send(const std::string& op, const nlohmann::json& args, Deadline deadline);

  /// The reply to a request that send() sent, as call() gives it.
  ClientResult<nlohmann::json> receive(std::uint32_t id, Deadline deadline);

  /// Ends the connection: a call that waits, in the client's own thread, fails at once, and so does every later one.
  /// The only call for other threads; the client must live until it returns.
  void interrupt() const;

  /// Sends {op, args} of a call that sends events. The id of the request, for next().
  ClientResult<std::uint32_t> subscribe(const std::string& op, const nlohmann::json& args, Deadline deadline);

  struct Next {
    bool is_event;              ///< else it is the result, as call() gives it, and nothing more comes
    nlohmann::json body;        ///< an object
    std::uint64_t dropped = 0;  ///< events that came after the one before, and found no room here
  };
  /// What a request that subscribe() sent brings next. After a Timeout it can be called again.
  ClientResult<Next> next(std::uint32_t id, Deadline deadline);

  /// The id of a subscription for which next() returns at once: that of the oldest, if there are several. Waits until
  /// there is one.
  ClientResult<std::uint32_t> wait(Deadline deadline);

  /// Ends a request that subscribe() sent, and drops what it has brought. The error is of the connection; that the
  /// request had ended already is none.
  std::expected<void, ClientError> cancel(std::uint32_t id, Deadline deadline);

  /// What the guest answered to Hello: {server, version, protocol, rights, max_payload}.
  [[nodiscard]] const nlohmann::json& hello() const { return hello_; }

 private:
  explicit Client(UniqueFd fd) : fd_(std::move(fd)) {}

  ClientResult<std::uint32_t> send_command(abi::control::Command command, const nlohmann::json& body,
                                           Deadline deadline);
  ClientResult<nlohmann::json> receive_body(std::uint32_t id, Deadline deadline);
  ClientResult<std::uint32_t> write_frame(std::uint32_t id, const std::vector<std::uint8_t>& frame, Deadline deadline);
  /// Reads once and sorts the frames that are complete into replies_.
  std::expected<void, ClientError> read_frames(Deadline deadline);
  std::expected<void, ClientError> sort_in(Frame frame);
  std::expected<void, ClientError> sort_in_event(Frame frame);
  std::uint32_t unused_id();
  /// Remembers the error that made the connection unusable.
  std::unexpected<ClientError> broken(ClientError error);

  UniqueFd fd_;
  FrameReader reader_;
  std::uint32_t next_id_ = 1;
  std::uint32_t max_payload_ = abi::control::kMaxPayloadBytes;
  nlohmann::json hello_;
  /// Requests sent and not received, each with its reply once that came.
  std::map<std::uint32_t, std::optional<Frame>> outstanding_;
  struct Events {
    std::deque<nlohmann::json> kept;
    std::uint64_t dropped = 0;
  };
  std::map<std::uint32_t, Events> events_;  ///< of subscriptions that have not been answered to their caller
  std::set<std::uint32_t> given_up_;        ///< timed out; their replies are dropped
  std::optional<ClientError> broken_;
};

}  // namespace vmm::control
