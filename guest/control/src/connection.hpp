// One connection of the control server.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "guest/control/buffer.hpp"
#include "guest/control/frame.hpp"
#include "guest/control/server.hpp"

namespace guest::control {

class Connection final : public kernel::StreamHandler {
 public:
  Connection(Server& server, kernel::Stream& stream);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void on_readable(kernel::Stream& stream) override;
  void on_writable(kernel::Stream& stream) override;
  void on_closed(kernel::Stream& stream) override;

  /// Answers with `busy` and closes: the server is full.
  void turn_away();

 private:
  /// A call that completes later.
  class Pending final : public Caller {
   public:
    void start(Connection& connection, std::uint32_t id) {
      connection_ = &connection;
      id_ = id;
    }
    void complete(std::span<const std::byte> result) override;
    void fail(const Refusal& refusal) override;
    void defer(Operation& operation) override { operation_ = &operation; }
    /// Ends the operation without an answer.
    void cancel();
    [[nodiscard]] bool in_use() const { return operation_ != nullptr; }
    [[nodiscard]] std::uint32_t id() const { return id_; }

   private:
    Connection* connection_ = nullptr;
    Operation* operation_ = nullptr;
    std::uint32_t id_ = 0;
  };

  void pump();
  void settle();
  bool take_input();
  void handle(const Frame& frame);
  void hello(std::uint32_t id, const CborValue& body);
  void call(std::uint32_t id, const CborValue& body);
  void cancel(std::uint32_t id, const CborValue& body);
  void run(std::uint32_t id, const Command& command, const Arguments& arguments, Pending& pending);
  Pending* free_pending();
  [[nodiscard]] bool has_pending() const;
  /// A request's id names one call at a time.
  Pending* find_pending(std::uint32_t id);

  CborWriter body_writer();
  void send_reply(std::uint32_t id, const CborWriter& body);
  void send_result(std::uint32_t id, std::span<const std::byte> result);
  void send_error(std::uint32_t id, std::string_view code, std::string_view message, std::string_view field = {});
  void send(abi::control::Command command, std::uint32_t id, const CborWriter& body);
  void flush();
  void close_after_output();

  Server& server_;
  kernel::Stream& stream_;
  FrameAssembler input_;
  Buffer output_;
  std::unique_ptr<std::array<Pending, kMaxPendingCalls>> pending_;
  abi::control::Rights rights_ = abi::control::Rights::None;
  bool authenticated_ = false;
  bool closing_ = false;  ///< nothing more is read; the stream closes when the output is out
  bool close_sent_ = false;
  bool wants_power_ = false;  ///< its shutdown or reboot is carried out when it is gone
  bool pumping_ = false;
};

}  // namespace guest::control
