// The half of VsockMux that takes packets of the host. Nothing in them is trusted: see the checks in receive().
#include <cstring>

#include "guest/drivers/vsock_mux.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::drivers {

namespace {

using abi::vsock::Op;
using abi::vsock::PacketHeader;

constexpr std::uint32_t kShutdownBoth = abi::vsock::kShutdownReceive | abi::vsock::kShutdownSend;

constexpr bool known_op(std::uint16_t op) {
  return op >= static_cast<std::uint16_t>(Op::Request) && op <= static_cast<std::uint16_t>(Op::CreditRequest);
}

}  // namespace

void VsockMux::answer_with_reset(const VsockKey& key, std::uint16_t type) {
  kernel::require(reset_count_ < kMaxWaitingResets, "vsock packet taken without room for its answer");
  resets_[(reset_start_ + reset_count_) % kMaxWaitingResets] = {.key = key, .type = type};
  ++reset_count_;
  link_.request_service();
}

void VsockMux::receive(std::span<const std::byte> packet) {
  counters_.rx_packets.add();
  PacketHeader header;
  if (packet.size() < sizeof(header) || !running_) {
    counters_.drop_short.add();
    return;
  }
  // The host may go on writing to the buffer: only this copy counts.
  std::memcpy(&header, packet.data(), sizeof(header));
  const std::span<const std::byte> payload = packet.subspan(sizeof(header));
  if (header.src_cid != abi::vsock::kHostCid || header.dst_cid != guest_cid_) {
    counters_.drop_cid.add();
    return;
  }
  const VsockKey key{.local_port = header.dst_port, .peer_port = header.src_port};
  const std::uint16_t op = header.op;
  const bool is_reset = op == static_cast<std::uint16_t>(Op::Rst);
  if (header.type != abi::vsock::kTypeStream) {
    counters_.drop_type.add();
    if (!is_reset) {
      answer_with_reset(key, header.type);
    }
    return;
  }
  VsockConnection* const connection = find(key);
  const bool bad_length = header.len != payload.size() || (op != static_cast<std::uint16_t>(Op::Rw) && header.len != 0);
  if (bad_length || !known_op(op)) {
    kernel::Counter& reason = bad_length ? counters_.drop_length : counters_.drop_op;
    // Bytes of the stream may have been lost with it, so the connection cannot go on.
    if (connection != nullptr) {
      violation(*connection, reason);
    } else {
      reason.add();
    }
    return;
  }
  if (connection != nullptr) {
    deliver(*connection, static_cast<Op>(op), header, payload);
  } else if (op == static_cast<std::uint16_t>(Op::Request)) {
    accept(key, header);
  } else {
    counters_.drop_unknown.add();
    if (!is_reset) {
      answer_with_reset(key, abi::vsock::kTypeStream);
    }
  }
}

void VsockMux::accept(const VsockKey& key, const PacketHeader& header) {
  // First: a peer that fills the receive queue at once puts many packets before the next service(), and a listener must
  // not refuse this one for places whose streams have ended already.
  tell_closed();
  kernel::StreamListener* listener = nullptr;
  for (std::size_t i = 0; i < listener_count_; ++i) {
    if (listeners_[i].port == key.local_port) {
      listener = listeners_[i].listener;
    }
  }
  VsockConnection* const connection = listener == nullptr ? nullptr : open(key);
  if (connection == nullptr) {
    counters_.refused.add();
    answer_with_reset(key, abi::vsock::kTypeStream);
    return;
  }
  connection->state_ = State::Open;
  connection->peer_buf_alloc_ = header.buf_alloc;
  // Nothing is in flight, wherever the peer starts to count.
  connection->peer_fwd_cnt_ = connection->tx_cnt_ = header.fwd_cnt;
  want(*connection, VsockConnection::kResponse);
  accepting_ = connection;
  kernel::StreamHandler* const handler = listener->on_connect(*connection, key.peer_port);
  accepting_ = nullptr;
  connection->handler_ = handler;
  if (handler == nullptr) {
    if (connection->state_ == State::Ended) {
      release_if_done(*connection);
    } else {
      end(*connection, true, counters_.refused);
    }
    return;
  }
  counters_.opened.add();
  if (connection->state_ != State::Open) {
    closed_.push_back(*connection);  // closed or reset in on_connect()
    link_.request_service();
  }
}

void VsockMux::violation(VsockConnection& connection, kernel::Counter& reason) {
  reason.add();
  end(connection, true, counters_.reset_by_us);
}

void VsockMux::update_credit(VsockConnection& connection, const PacketHeader& header) {
  connection.peer_buf_alloc_ = header.buf_alloc;
  // A count that is older than the last (a host may queue packets out of order) or ahead of what was sent gains the
  // peer nothing.
  const std::uint32_t fwd_cnt = header.fwd_cnt;
  if (connection.tx_cnt_ - fwd_cnt <= connection.tx_cnt_ - connection.peer_fwd_cnt_) {
    connection.peer_fwd_cnt_ = fwd_cnt;
  } else {
    counters_.stale_credit.add();
  }
  if (connection.peer_credit() != 0) {
    connection.credit_requested_ = false;
    connection.pending_ &= static_cast<std::uint8_t>(~VsockConnection::kCreditRequest);
    if (connection.write_wanted_) {
      want_turn(connection);
    }
  }
}

void VsockMux::deliver(VsockConnection& connection, Op op, const PacketHeader& header,
                       std::span<const std::byte> payload) {
  if (op == Op::Rst) {
    const bool refused = connection.state_ == State::Connecting;
    return end(connection, false, refused ? counters_.refused : counters_.reset_by_peer);
  }
  if (connection.state_ == State::Connecting) {
    if (op != Op::Response) {
      return violation(connection, counters_.drop_op);
    }
    update_credit(connection, header);
    return deliver_response(connection);
  }
  // Before our RESPONSE has gone out the peer has nothing to say.
  if ((connection.pending_ & VsockConnection::kResponse) != 0) {
    return violation(connection, counters_.drop_op);
  }
  if (connection.state_ == State::Open) {
    update_credit(connection, header);
    return deliver_open(connection, op, header, payload);
  }
  if (op == Op::Rw) {
    counters_.drop_closing.add();
    connection.rx_cnt_ += header.len;
    connection.fwd_cnt_ = connection.rx_cnt_;
  } else if (op == Op::Shutdown) {
    connection.peer_shutdown_ |= header.flags & kShutdownBoth;
    if (connection.peer_shutdown_ == kShutdownBoth) {
      end(connection, true, counters_.closed);
    }
  } else if (op == Op::CreditRequest) {
    want(connection, VsockConnection::kCreditUpdate);
  }
}

void VsockMux::deliver_open(VsockConnection& connection, Op op, const PacketHeader& header,
                            std::span<const std::byte> payload) {
  switch (op) {
    case Op::Rw:
      return deliver_data(connection, payload);
    case Op::Shutdown:
      return deliver_shutdown(connection, header.flags & kShutdownBoth);
    case Op::CreditRequest:
      return want(connection, VsockConnection::kCreditUpdate);
    case Op::CreditUpdate:
      return;
    case Op::Invalid:
    case Op::Request:
    case Op::Response:
    case Op::Rst:
      break;
  }
  violation(connection, counters_.drop_op);
}

void VsockMux::deliver_response(VsockConnection& connection) {
  connection.state_ = State::Open;
  connection.write_wanted_ = false;
  counters_.opened.add();
  connection.turn_left_bytes_ = limits_.turn_bytes;
  connection.handler_->on_writable(connection);
}

void VsockMux::deliver_data(VsockConnection& connection, std::span<const std::byte> payload) {
  if ((connection.peer_shutdown_ & abi::vsock::kShutdownSend) != 0) {
    return violation(connection, counters_.drop_op);
  }
  const std::uint32_t waiting = connection.rx_cnt_ - connection.fwd_cnt_;  // at most buf_alloc_, by this very check
  if (payload.size() > connection.buf_alloc_ - waiting) {
    return violation(connection, counters_.credit_violations);
  }
  connection.rx_cnt_ += static_cast<std::uint32_t>(payload.size());
  counters_.rx_bytes.add(payload.size());
  if (connection.buffer_.empty()) {
    connection.loan_ = payload;  // a handler that reads at once reads from the device's buffer
  } else if (!connection.buffer_.append(payload, memory_)) {
    return violation(connection, counters_.no_memory);
  }
  connection.turn_left_bytes_ = limits_.turn_bytes;
  connection.handler_->on_readable(connection);
  const std::span<const std::byte> left = connection.loan_;  // empty when the connection has ended
  connection.loan_ = {};
  if (!connection.buffer_.append(left, memory_)) {
    violation(connection, counters_.no_memory);
  }
}

void VsockMux::deliver_shutdown(VsockConnection& connection, std::uint32_t flags) {
  const std::uint32_t fresh = flags & ~connection.peer_shutdown_;
  connection.peer_shutdown_ |= flags;
  if (connection.write_wanted_ && (fresh & abi::vsock::kShutdownReceive) != 0) {
    want_turn(connection);  // to learn that there is no more writing
  }
  if ((fresh & abi::vsock::kShutdownSend) != 0) {
    connection.turn_left_bytes_ = limits_.turn_bytes;
    connection.handler_->on_readable(connection);
  }
  settle(connection);
}

}  // namespace guest::drivers
