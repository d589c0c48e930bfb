#include "guest/drivers/vsock_connection.hpp"

#include <algorithm>
#include <cstring>

#include "guest/drivers/vsock_mux.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::drivers {

namespace {
using abi::vsock::Op;
constexpr std::uint32_t kShutdownBoth = abi::vsock::kShutdownReceive | abi::vsock::kShutdownSend;
/// The peer is told of freed room each time a quarter of the window was freed. That is often enough: with everything
/// read it sees at least three quarters free, so a sender that is not faster than its reader never waits.
constexpr std::uint32_t kCreditUpdateFraction = 4;
}  // namespace

std::span<const std::byte> VsockConnection::peek() { return buffer_.empty() ? loan_ : buffer_.front(); }

void VsockConnection::consume(std::size_t count) {
  if (buffer_.empty()) {
    kernel::require(count <= loan_.size(), "more bytes consumed than peek() returned");
    loan_ = loan_.subspan(count);
  } else {
    buffer_.drop(count, mux_->memory_);
  }
  consumed(count);
}

std::size_t VsockConnection::read(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::span<const std::byte> next = peek();
    if (next.empty()) {
      break;
    }
    const std::size_t count = std::min(next.size(), out.size() - done);
    std::memcpy(out.data() + done, next.data(), count);
    done += count;
    consume(count);
  }
  return done;
}

void VsockConnection::consumed(std::size_t bytes) {
  fwd_cnt_ += static_cast<std::uint32_t>(bytes);
  if (state_ != State::Open) {
    return;
  }
  if (fwd_cnt_ - fwd_cnt_told_ >= buf_alloc_ / kCreditUpdateFraction) {
    mux_->want(*this, kCreditUpdate);
  }
  mux_->settle(*this);
}

bool VsockConnection::receive_ended() const {
  const bool no_more = state_ != State::Open || (peer_shutdown_ & abi::vsock::kShutdownSend) != 0;
  return no_more && state_ != State::Connecting && nothing_unread();
}

bool VsockConnection::send_ended() const {
  return (state_ != State::Open && state_ != State::Connecting) ||
         (peer_shutdown_ & abi::vsock::kShutdownReceive) != 0 || (local_shutdown_ & abi::vsock::kShutdownSend) != 0;
}

std::size_t VsockConnection::sendable(std::size_t wanted, bool& wait_for_room) {
  wait_for_room = true;
  if (turn_left_bytes_ == 0) {
    return 0;
  }
  const std::uint32_t credit = peer_credit();
  if (credit == 0) {
    wait_for_room = false;
    return 0;
  }
  const std::size_t room = std::min<std::size_t>(mux_->link_.payload_room(), abi::vsock::kMaxPayloadBytes);
  if (room == 0) {
    mux_->counters_.tx_stalls.add();
  }
  return std::min<std::size_t>({wanted, room, credit, turn_left_bytes_});
}

std::size_t VsockConnection::write(std::span<const std::byte> data) {
  if (send_ended() || data.empty()) {
    return 0;
  }
  if (state_ == State::Connecting) {
    write_wanted_ = true;  // on_writable() follows when it is open
    return 0;
  }
  std::size_t done = 0;
  bool wait_for_room = true;
  // Whoever waits is ahead of whoever comes. What is due of this connection itself (RESPONSE) goes before its data.
  const bool my_turn = mux_->turn_ == this || mux_->writers_.empty();
  if (my_turn && mux_->flush_pending(*this)) {
    while (done < data.size()) {
      const std::size_t count = sendable(data.size() - done, wait_for_room);
      if (count == 0 || !mux_->emit(*this, Op::Rw, data.subspan(done, count))) {
        break;
      }
      tx_cnt_ += static_cast<std::uint32_t>(count);
      turn_left_bytes_ -= static_cast<std::uint32_t>(count);
      done += count;
    }
  }
  if (done == data.size()) {
    return done;
  }
  write_wanted_ = true;
  if (wait_for_room) {
    mux_->want_turn(*this);
  } else {
    mux_->counters_.credit_stalls.add();
    if (!credit_requested_) {
      credit_requested_ = true;
      mux_->want(*this, kCreditRequest);
    }
  }
  return done;
}

void VsockConnection::finish_sending() {
  if (state_ == State::Connecting) {
    close();
  } else if (state_ == State::Open && (local_shutdown_ & abi::vsock::kShutdownSend) == 0) {
    local_shutdown_ |= abi::vsock::kShutdownSend;
    write_wanted_ = false;
    mux_->writers_.remove(*this);
    mux_->want(*this, kShutdown);
  }
}

void VsockConnection::close() {
  const bool nothing_to_wait_for = state_ == State::Open && peer_shutdown_ == kShutdownBoth;
  if (state_ == State::Connecting || nothing_to_wait_for) {
    mux_->end(*this, true, mux_->counters_.closed);
  } else if (state_ == State::Open) {
    mux_->linger(*this);
  }
}

void VsockConnection::reset() {
  if (state_ != State::Ended && state_ != State::Free) {
    mux_->end(*this, true, mux_->counters_.reset_by_us);
  }
}

}  // namespace guest::drivers
