// Bytes given in hexadecimal, through the control server as if a peer had sent them.
#include <algorithm>
#include <array>
#include <memory>
#include <new>

#include "guest/control/buffer.hpp"
#include "guest/kernel/stream.hpp"
#include "hex.hpp"
#include "security_commands.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// Most bytes of answers that are shown: as text of two digits each they fit a shell's 48 KiB.
constexpr std::size_t kMaxAnswer = 20 * 1024;

/// A peer that sends its bytes, ends its sending side, takes every answer, and tells its caller when the server has
/// closed the connection. The server is called from the loop, never in the middle of the handler: an answer may be
/// half-built there.
class HexPeer final : public Operation, private kernel::Stream {
 public:
  HexPeer(Services& services, Caller& caller) : services_(services), caller_(&caller) {}

  /// Room for what set_input() gets. False: no memory.
  [[nodiscard]] bool reserve(std::string_view hex) { return input_.reserve(hex.size() / 2); }
  /// False: not all of it is pairs of digits.
  [[nodiscard]] bool set_input(std::string_view hex) {
    for (std::size_t at = 0; at < hex.size(); at += 2) {
      std::uint8_t byte = 0;
      if (!parse_hex(hex.substr(at, 2), {&byte, 1}) || !input_.append(std::as_bytes(std::span(&byte, 1)))) {
        return false;
      }
    }
    return true;
  }

  void start() {
    caller_->defer(*this);
    wake();
  }
  void cancel() override {
    caller_ = nullptr;
    wake();
  }

 private:
  void wake() { services_.work.raise(turn_); }

  void turn() {
    if (handler_ == nullptr && caller_ != nullptr) {
      handler_ = services_.control_server->on_connect(*this, 0);
      if (handler_ == nullptr) {
        caller_->fail(refuse(error::kBusy, "", "the control server has no room for another connection").error());
        delete this;
        return;
      }
      return handler_->on_readable(*this);  // close() follows, at once or when every call is answered
    }
    if (caller_ != nullptr) {
      answer();
    }
    // Last: it may be what carries out a shutdown that was asked for.
    if (handler_ != nullptr) {
      handler_->on_closed(*this);
    }
    delete this;
  }

  void answer() {
    if (too_long_) {
      return caller_->fail(refuse(error::kTooLarge, "hex", "the answers are longer than {} bytes", kMaxAnswer).error());
    }
    // Of the loop alone, which does one thing at a time.
    static constinit std::array<std::byte, 2 * kMaxAnswer + 128> memory{};
    static constinit std::array<char, 2 * kMaxAnswer> digits{};
    CborWriter writer(memory);
    ResultMap result(writer);
    result.add("bytes", output_.size());
    result.add("answer", to_hex(output_.bytes(), digits));
    result.finish();
    caller_->complete(writer.written());
  }

  // kernel::Stream, as the server sees it
  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = std::min(out.size(), input_.size());
    std::copy_n(input_.bytes().begin(), count, out.begin());
    input_.consume(count);
    return count;
  }
  std::span<const std::byte> peek() override { return input_.bytes(); }
  void consume(std::size_t count) override { input_.consume(count); }
  std::size_t write(std::span<const std::byte> data) override {
    too_long_ = too_long_ || data.size() > kMaxAnswer - output_.size() || !output_.append(data);
    return data.size();
  }
  void finish_sending() override {}
  [[nodiscard]] bool receive_ended() const override { return input_.empty(); }
  [[nodiscard]] bool send_ended() const override { return ended_; }
  void close() override {
    ended_ = true;
    wake();
  }
  void reset() override { close(); }

  Services& services_;
  Caller* caller_;  ///< null: it was cancelled
  kernel::StreamHandler* handler_ = nullptr;
  Buffer input_;
  Buffer output_;
  bool ended_ = false;
  bool too_long_ = false;
  kernel::WorkItem turn_{[](void* self) { static_cast<HexPeer*>(self)->turn(); }, this};
};

}  // namespace

HandlerResult handle_ctlhex(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  if (services.control_server == nullptr) {
    return refuse(error::kBusy, "", "the control server has not started");
  }
  const std::string_view hex = arguments.text("hex");
  std::unique_ptr<HexPeer> peer(new (std::nothrow) HexPeer(services, caller));
  if (peer == nullptr || !peer->reserve(hex)) {
    return refuse(error::kBusy, "", "no memory for another connection");
  }
  if (!peer->set_input(hex)) {
    return refuse(error::kBadArgument, "hex", "hex: found {} bytes that are not all pairs of hexadecimal digits",
                  hex.size());
  }
  peer.release()->start();
  return Handled::Later;
}

}  // namespace guest::control
