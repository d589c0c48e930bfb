// One connection of the control server.
//
//   AwaitingHello --token accepted--> Open --peer ended, nothing waits--> Closing --output is out--> closed
//        |                              |                                    ^
//        +--too many refusals, timeout--+--stream cannot be followed---------+
//
// Requests are of version 1 (requests.cpp) or of version 0 (version0.hpp), as the first frame was.
//
// In Closing nothing more is read. A stream on which nothing can be delivered is reset.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "guest/control/audit.hpp"
#include "guest/control/buffer.hpp"
#include "guest/control/frame.hpp"
#include "guest/control/server.hpp"
#include "version0.hpp"

namespace guest::control {

class Connection final : public kernel::StreamHandler {
 public:
  /// `number`: of the connection, for the audit log.
  Connection(Server& server, kernel::Stream& stream, Origin origin, std::uint32_t number);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void on_readable(kernel::Stream& stream) override;
  void on_writable(kernel::Stream& stream) override;
  void on_closed(kernel::Stream& stream) override;

  /// Says `busy` and closes: the server is full.
  void turn_away();
  /// There is input that its last turn had no room for.
  [[nodiscard]] bool wants_turn() const { return wants_turn_; }
  void take_turn();
  /// When expire() is to be called; kernel::kNoDeadline: never.
  [[nodiscard]] std::uint64_t deadline_ns() const { return deadline_ns_; }
  void expire();
  /// There are events that the transport has not taken.
  [[nodiscard]] bool owes_events() const { return !closing_ && !output_.empty() && has_pending(); }
  /// Cancels calls that wait under a grant that has ended.
  void enforce_grants();
  [[nodiscard]] Origin origin() const { return origin_; }
  [[nodiscard]] std::uint32_t number() const { return number_; }

 private:
  friend class Version0;
  /// A call that completes later.
  class Pending final : public Caller {
   public:
    /// Of the connection's present request.
    void start(Connection& connection, std::uint32_t id) {
      connection_ = &connection;
      id_ = id;
      grant_ = connection.grant_;
      asked_ = connection.asked_;
    }
    void complete(std::span<const std::byte> result) override;
    void fail(const Refusal& refusal) override;
    void defer(Operation& operation) override {
      operation_ = &operation;
      wants_room_ = false;
    }
    bool has_room() override;
    bool emit(std::span<const std::byte> event) override;
    /// Tells an operation that has found no room.
    void offer_room();
    /// Ends the operation without an answer.
    void cancel();
    [[nodiscard]] bool in_use() const { return operation_ != nullptr; }
    [[nodiscard]] std::uint32_t id() const { return id_; }
    /// That it was begun under.
    [[nodiscard]] const security::Grant& grant() const { return grant_; }
    [[nodiscard]] const AuditedRequest& asked() const { return asked_; }

   private:
    Connection* connection_ = nullptr;
    Operation* operation_ = nullptr;
    std::uint32_t id_ = 0;
    bool wants_room_ = false;
    security::Grant grant_{};
    AuditedRequest asked_{};
  };

  // connection.cpp: bytes in and out, life and death
  void pump();
  void settle();
  bool take_input();
  void flush();
  [[nodiscard]] bool has_event_room();
  bool send_event(std::uint32_t id, std::span<const std::byte> event);
  void offer_room();
  void account(std::size_t bytes, bool delivered);
  void set_deadline(std::uint64_t delay_ns);
  void close_after_output();
  void give_up();
  void notice(std::string_view code, std::string_view message);
  CborWriter body_writer();
  void send_reply(std::uint32_t id, const CborWriter& body);
  void send_result(std::uint32_t id, std::span<const std::byte> result);
  void send_error(std::uint32_t id, std::string_view code, std::string_view message, std::string_view field = {},
                  std::uint64_t fits_at_ns = 0);
  void send_refusal(std::uint32_t id, const Refusal& refusal);
  void send(abi::control::Command command, std::uint32_t id, const CborWriter& body);
  /// The answer of version 0 to a command that was carried out.
  void send_done(std::string_view line);
  void send_line(std::string_view line);
  void queue(std::span<const std::byte> answer);
  void begin_answer(std::span<const std::byte> output);
  [[nodiscard]] bool speaks_version0() const { return input_.version() == abi::control::kVersion0; }

  // requests.cpp: what a frame asks for
  void handle(const Frame& frame);
  void bad_frame(std::uint32_t id, std::string_view code, std::string_view message);
  void strike();
  void admit(const security::Grant& grant);
  bool accept_legacy(std::uint64_t token);
  void hello(std::uint32_t id, const CborValue& body);
  void accept(std::uint32_t id, const security::Grant& grant);
  void begin_request(std::size_t bytes);
  void end_cancelled(Pending& pending, std::string_view why);
  void check_grant();
  void check_calls();
  void refuse_stranger(std::uint32_t id);
  void call(std::uint32_t id, const CborValue& body);
  void cancel(std::uint32_t id, const CborValue& body);
  void run(std::uint32_t id, const Command& command, const Arguments& arguments, Pending& pending);
  void note_power_request();
  /// What a call is in the trace.
  [[nodiscard]] std::uint64_t trace_number(std::uint32_t id) const { return std::uint64_t{number_} << 32 | id; }
  [[nodiscard]] security::Principal principal() const;
  bool only_known_keys(std::uint32_t id, const CborValue& map, std::span<const std::string_view> known);
  Pending* free_pending();
  [[nodiscard]] bool has_pending() const;
  /// A request's id names one call at a time.
  Pending* find_pending(std::uint32_t id);

  Server& server_;
  kernel::Stream& stream_;
  const Origin origin_;
  FrameAssembler input_;
  Version0 version0_{*this};
  Buffer output_;  ///< starts inside an answer of which frame_left_ bytes are left, or at an answer's first byte
  std::size_t frame_left_ = 0;
  abi::control::Command frame_command_ = abi::control::Command::Reply;  ///< of that frame
  std::unique_ptr<std::array<Pending, kMaxPendingCalls>> pending_;
  security::Grant grant_{};                    ///< valid while authenticated_
  std::optional<security::TokenError> ended_;  ///< why the grant ended, if there was one
  const std::uint32_t number_;
  AuditedRequest asked_{};  ///< what is being answered
  std::uint64_t deadline_ns_ = kernel::kNoDeadline;
  unsigned strikes_ = 0;
  unsigned turn_left_ = 0;  ///< requests that may still be taken in this turn
  bool authenticated_ = false;
  bool closing_ = false;      ///< nothing more is read; the stream closes when the output is out
  bool close_sent_ = false;   ///< Stream::close() or reset() was called
  bool notice_ = false;       ///< the last frame of the output answers no request
  bool wants_power_ = false;  ///< its shutdown or reboot is carried out when it is gone
  bool pumping_ = false;
  bool wants_turn_ = false;
  bool wants_room_ = false;  ///< some operation does
};

}  // namespace guest::control
