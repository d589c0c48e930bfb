// A stream in memory. The test is the peer; it sees what the contract of guest/kernel/stream.hpp lets a peer see.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "guest/kernel/stream.hpp"

namespace guest::control::testing {

using Bytes = std::vector<std::byte>;

class FakeStream final : public kernel::Stream {
 public:
  // ---- the peer's side ----

  /// Connects to `listener`. False: it refused.
  bool connect(kernel::StreamListener& listener) {
    handler_ = listener.on_connect(*this, 1024);
    open_ = handler_ != nullptr;
    return open_;
  }
  /// Bytes arrive.
  void deliver(std::span<const std::byte> bytes) {
    incoming_.insert(incoming_.end(), bytes.begin(), bytes.end());
    if (open_) {
      handler_->on_readable(*this);
    }
  }
  /// The peer will send no more.
  void end_sending() {
    peer_ended_ = true;
    if (open_) {
      handler_->on_readable(*this);
    }
  }
  /// The peer takes no more.
  void end_receiving() {
    send_ended_ = true;
    if (open_) {
      handler_->on_writable(*this);
    }
  }
  /// The peer grants room for `bytes` more.
  void grant(std::size_t bytes) {
    room_ += bytes;
    if (open_ && short_write_) {
      short_write_ = false;
      handler_->on_writable(*this);
    }
  }
  /// The connection is gone. Also ends one that the server closed or reset.
  void disconnect() {
    if (open_) {
      open_ = false;
      handler_->on_closed(*this);
    }
  }
  /// What the transport does from its loop after close() or reset().
  void settle() {
    if (closed || was_reset) {
      disconnect();
    }
  }
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] std::size_t unread() const { return incoming_.size() - taken_; }
  /// What the server sent since the last call.
  Bytes take_sent() { return std::exchange(sent_, {}); }

  bool closed = false;
  bool was_reset = false;

  // ---- kernel::Stream ----

  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = std::min(out.size(), unread());
    std::copy_n(incoming_.begin() + static_cast<std::ptrdiff_t>(taken_), count, out.begin());
    consume(count);
    return count;
  }
  /// Hands out a copy of exactly the piece, so that ASan sees a byte too far.
  std::span<const std::byte> peek() override {
    require_live();
    const std::size_t count = std::min(peek_limit_, unread());
    piece_.assign(incoming_.begin() + static_cast<std::ptrdiff_t>(taken_),
                  incoming_.begin() + static_cast<std::ptrdiff_t>(taken_ + count));
    return piece_;
  }
  void consume(std::size_t count) override {
    require_live();
    if (count > unread()) {
      std::abort();
    }
    taken_ += count;
  }
  std::size_t write(std::span<const std::byte> data) override {
    require_live();
    const std::size_t count = send_ended_ ? 0 : std::min(data.size(), room_);
    sent_.insert(sent_.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(count));
    room_ -= count;
    short_write_ = count < data.size();
    return count;
  }
  void finish_sending() override { send_ended_ = true; }
  [[nodiscard]] bool receive_ended() const override { return peer_ended_ && unread() == 0; }
  [[nodiscard]] bool send_ended() const override { return send_ended_ || closed || was_reset; }
  void close() override {
    require_live();
    closed = true;
  }
  void reset() override { was_reset = true; }

  /// Most bytes that peek() returns: a transport may hand out input in any pieces.
  void set_peek_limit(std::size_t bytes) { peek_limit_ = bytes; }
  /// Room that the peer grants; unlimited at first.
  void set_room(std::size_t bytes) { room_ = bytes; }

 private:
  /// Nothing may be read or written after close() or reset().
  void require_live() const {
    if (closed || was_reset) {
      std::abort();
    }
  }

  kernel::StreamHandler* handler_ = nullptr;
  Bytes incoming_;
  Bytes piece_;
  Bytes sent_;
  std::size_t taken_ = 0;
  std::size_t peek_limit_ = std::numeric_limits<std::size_t>::max();
  std::size_t room_ = std::numeric_limits<std::size_t>::max() / 2;
  bool open_ = false;
  bool peer_ended_ = false;
  bool send_ended_ = false;
  bool short_write_ = false;
};

}  // namespace guest::control::testing
