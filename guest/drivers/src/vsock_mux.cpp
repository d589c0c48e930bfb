#include "guest/drivers/vsock_mux.hpp"

#include "guest/kernel/panic.hpp"

namespace guest::drivers {

namespace {
using abi::vsock::Op;
using abi::vsock::PacketHeader;
using kernel::Status;
constexpr std::uint32_t kShutdownBoth = abi::vsock::kShutdownReceive | abi::vsock::kShutdownSend;
}  // namespace

void VsockCounters::register_all(kernel::CounterRegistry& registry) {
  for (kernel::Counter* counter :
       {&rx_packets,    &tx_packets,    &rx_bytes,         &tx_bytes,     &connections,       &opened,
        &closed,        &reset_by_peer, &reset_by_us,      &refused,      &evicted,           &resets_sent,
        &credit_stalls, &tx_stalls,     &stale_credit,     &drop_short,   &drop_length,       &drop_cid,
        &drop_type,     &drop_op,       &drop_unknown,     &drop_closing, &credit_violations, &no_memory,
        &interrupts,    &kicks,         &transport_resets, &device_faults}) {
    registry.add(*counter);
  }
}

VsockMux::VsockMux(VsockLink& link, BufferMemory& memory, VsockCounters& counters, const Limits& limits)
    : link_(link), memory_(memory), counters_(counters), limits_(limits) {
  for (VsockConnection& connection : table_) {
    connection.mux_ = this;
    free_.push_back(connection);
  }
}

bool VsockMux::listen(std::uint32_t port, kernel::StreamListener& listener) {
  for (std::size_t i = 0; i < listener_count_; ++i) {
    if (listeners_[i].port == port) {
      return false;
    }
  }
  if (listener_count_ == kMaxListeners) {
    return false;
  }
  listeners_[listener_count_++] = {.port = port, .listener = &listener};
  return true;
}

kernel::Result<kernel::Stream*> VsockMux::connect(std::uint32_t port, kernel::StreamHandler& handler) {
  if (!running_) {
    return std::unexpected(Status::Closed);
  }
  // There are more ports than connections, so one is free.
  VsockKey key{.local_port = next_port_, .peer_port = port};
  while (find(key) != nullptr) {
    key.local_port = next_port_ = next_port_ == ~std::uint32_t{0} - 1 ? kFirstEphemeralPort : next_port_ + 1;
  }
  next_port_ = next_port_ == ~std::uint32_t{0} - 1 ? kFirstEphemeralPort : next_port_ + 1;
  VsockConnection* const connection = can_receive() ? open(key) : nullptr;
  if (connection == nullptr) {
    return std::unexpected(Status::NoMemory);
  }
  connection->state_ = State::Connecting;
  connection->handler_ = &handler;
  want(*connection, VsockConnection::kRequest);
  return connection;
}

bool VsockMux::drained() {
  if (running_) {
    flush_resets();
    flush_all_pending();
  }
  return pending_.empty() && writers_.empty() && reset_count_ == 0 && link_.idle();
}

void VsockMux::start(std::uint64_t guest_cid) {
  guest_cid_ = guest_cid;
  running_ = true;
}

void VsockMux::stop() {
  running_ = false;
  reset_count_ = 0;
  for (VsockConnection& connection : table_) {
    if (connection.state_ == State::Ended) {
      connection.pending_ = 0;
      pending_.remove(connection);
      release_if_done(connection);
    } else if (connection.state_ != State::Free) {
      end(connection, false, counters_.reset_by_peer);
    }
  }
  link_.request_service();
}

// ---- Table

std::size_t VsockMux::bucket(const VsockKey& key) {
  // Multiplicative hash. A host that picks ports to collide makes one list as long as the table, which is bounded.
  const std::uint32_t mixed = (key.peer_port * 0x9E37'79B1U) ^ (key.local_port * 0x85EB'CA6BU);
  return (mixed >> 16 ^ mixed) % kBuckets;
}

VsockConnection* VsockMux::find(const VsockKey& key) const {
  for (VsockConnection* at = buckets_[bucket(key)]; at != nullptr; at = at->next_in_bucket_) {
    if (at->key_ == key) {
      return at;
    }
  }
  return nullptr;
}

bool VsockMux::evict() {
  for (VsockConnection* at = lingering_.front(); at != nullptr; at = lingering_.after(*at)) {
    if (at->handler_ == nullptr) {
      answer_with_reset(at->key_, abi::vsock::kTypeStream);
      counters_.evicted.add();
      end(*at, false, counters_.closed);
      return true;
    }
  }
  return false;
}

VsockConnection* VsockMux::open(const VsockKey& key) {
  if (free_.empty() && !evict()) {
    return nullptr;
  }
  VsockConnection& connection = *free_.front();
  free_.remove(connection);
  connection.handler_ = nullptr;
  connection.key_ = key;
  connection.pending_ = 0;
  connection.write_wanted_ = connection.credit_requested_ = false;
  connection.local_shutdown_ = connection.peer_shutdown_ = 0;
  connection.tx_cnt_ = connection.peer_buf_alloc_ = connection.peer_fwd_cnt_ = 0;
  connection.rx_cnt_ = connection.fwd_cnt_ = connection.fwd_cnt_told_ = 0;
  connection.turn_left_bytes_ = limits_.turn_bytes;
  const bool large = large_windows_bytes_ + limits_.window_bytes <= limits_.large_windows_total_bytes;
  connection.large_window_ = large;
  connection.buf_alloc_ = large ? limits_.window_bytes : limits_.small_window_bytes;
  large_windows_bytes_ += large ? limits_.window_bytes : 0;
  connection.next_in_bucket_ = buckets_[bucket(key)];
  buckets_[bucket(key)] = &connection;
  counters_.connections.add();
  return &connection;
}

void VsockMux::unlink(VsockConnection& connection) {
  VsockConnection** link = &buckets_[bucket(connection.key_)];
  while (*link != &connection) {
    kernel::require(*link != nullptr, "a vsock connection is not in its bucket");
    link = &(*link)->next_in_bucket_;
  }
  *link = connection.next_in_bucket_;
  connection.next_in_bucket_ = nullptr;
  if (connection.large_window_) {
    large_windows_bytes_ -= limits_.window_bytes;
  }
  counters_.connections.subtract();
}

void VsockMux::release_if_done(VsockConnection& connection) {
  if (connection.state_ == State::Ended && connection.pending_ == 0 && connection.handler_ == nullptr &&
      accepting_ != &connection) {
    connection.state_ = State::Free;
    free_.push_back(connection);
  }
}

// ---- Steps of a connection

void VsockMux::want(VsockConnection& connection, VsockConnection::Pending what) {
  connection.pending_ |= what;
  pending_.push_back(connection);
  link_.request_service();
}

void VsockMux::want_turn(VsockConnection& connection) {
  writers_.push_back(connection);
  link_.request_service();
}

void VsockMux::end(VsockConnection& connection, bool send_reset, kernel::Counter& reason) {
  // Once told, a stream is over for its handler; what a lingering one ends with has been counted when it was closed.
  if (connection.state_ != State::Lingering) {
    reason.add();
  }
  unlink(connection);
  lingering_.remove(connection);
  writers_.remove(connection);
  pending_.remove(connection);
  connection.loan_ = {};
  connection.buffer_.clear(memory_);
  connection.state_ = State::Ended;
  connection.write_wanted_ = false;
  connection.pending_ = 0;
  if (send_reset) {
    want(connection, VsockConnection::kReset);
  }
  if (connection.handler_ != nullptr) {
    closed_.push_back(connection);
    link_.request_service();
  }
  release_if_done(connection);
}

void VsockMux::linger(VsockConnection& connection) {
  counters_.closed.add();
  writers_.remove(connection);
  connection.write_wanted_ = false;
  connection.loan_ = {};
  connection.buffer_.clear(memory_);
  connection.fwd_cnt_ = connection.rx_cnt_;
  connection.state_ = State::Lingering;
  connection.local_shutdown_ = kShutdownBoth;
  lingering_.push_back(connection);
  want(connection, VsockConnection::kShutdown);
  if (connection.handler_ != nullptr) {
    closed_.push_back(connection);
  }
}

void VsockMux::settle(VsockConnection& connection) {
  if (connection.state_ == State::Open && connection.peer_shutdown_ == kShutdownBoth && connection.nothing_unread()) {
    end(connection, true, counters_.closed);
  }
}

// ---- Packets out

bool VsockMux::emit(VsockConnection& connection, Op op, std::span<const std::byte> payload) {
  const PacketHeader header{.src_cid = guest_cid_,
                            .dst_cid = abi::vsock::kHostCid,
                            .src_port = connection.key_.local_port,
                            .dst_port = connection.key_.peer_port,
                            .len = static_cast<std::uint32_t>(payload.size()),
                            .type = abi::vsock::kTypeStream,
                            .op = static_cast<std::uint16_t>(op),
                            .flags = op == Op::Shutdown ? connection.local_shutdown_ : 0,
                            .buf_alloc = connection.buf_alloc_,
                            .fwd_cnt = connection.fwd_cnt_};
  if (!link_.send(header, payload)) {
    return false;
  }
  counters_.tx_packets.add();
  counters_.tx_bytes.add(payload.size());
  // Every packet carries the credit, so an update of its own is not due any more.
  connection.fwd_cnt_told_ = connection.fwd_cnt_;
  connection.pending_ &= static_cast<std::uint8_t>(~VsockConnection::kCreditUpdate);
  return true;
}

bool VsockMux::flush_pending(VsockConnection& connection) {
  struct Due {
    VsockConnection::Pending bit;
    Op op;
  };
  static constexpr Due kOrder[] = {
      {VsockConnection::kReset, Op::Rst},
      {VsockConnection::kRequest, Op::Request},
      {VsockConnection::kResponse, Op::Response},
      {VsockConnection::kCreditUpdate, Op::CreditUpdate},
      {VsockConnection::kCreditRequest, Op::CreditRequest},
      {VsockConnection::kShutdown, Op::Shutdown},
  };
  for (const Due& due : kOrder) {
    if ((connection.pending_ & due.bit) == 0) {
      continue;
    }
    if (!emit(connection, due.op)) {
      return false;
    }
    connection.pending_ &= static_cast<std::uint8_t>(~due.bit);
    if (due.op == Op::Rst) {
      counters_.resets_sent.add();
    }
  }
  pending_.remove(connection);
  return true;
}

void VsockMux::flush_resets() {
  while (reset_count_ != 0) {
    const WaitingReset& reset = resets_[reset_start_];
    const PacketHeader header{.src_cid = guest_cid_,
                              .dst_cid = abi::vsock::kHostCid,
                              .src_port = reset.key.local_port,
                              .dst_port = reset.key.peer_port,
                              .len = 0,
                              .type = reset.type,
                              .op = static_cast<std::uint16_t>(Op::Rst),
                              .flags = 0,
                              .buf_alloc = 0,
                              .fwd_cnt = 0};
    if (!link_.send(header, {})) {
      return;
    }
    counters_.tx_packets.add();
    counters_.resets_sent.add();
    reset_start_ = (reset_start_ + 1) % kMaxWaitingResets;
    --reset_count_;
  }
}

void VsockMux::flush_all_pending() {
  while (VsockConnection* const connection = pending_.front()) {
    if (!flush_pending(*connection)) {
      return;
    }
    release_if_done(*connection);
  }
}

void VsockMux::serve_writers() {
  // Each that waits now gets one turn; who wants another goes to the end of the line.
  for (std::size_t turns = writers_.size(); turns != 0 && !writers_.empty(); --turns) {
    VsockConnection& connection = *writers_.front();
    if (link_.payload_room() == 0 && !connection.send_ended()) {
      counters_.tx_stalls.add();
      return;
    }
    writers_.remove(connection);
    connection.write_wanted_ = false;
    connection.turn_left_bytes_ = limits_.turn_bytes;
    turn_ = &connection;
    connection.handler_->on_writable(connection);
    turn_ = nullptr;
  }
  if (!writers_.empty() && link_.payload_room() != 0) {
    link_.request_service();
  }
}

void VsockMux::tell_closed() {
  while (VsockConnection* const connection = closed_.front()) {
    closed_.remove(*connection);
    kernel::StreamHandler* const handler = connection->handler_;
    connection->handler_ = nullptr;  // whatever it does in the call, there is no second one
    handler->on_closed(*connection);
    release_if_done(*connection);
  }
}

void VsockMux::service() {
  if (running_) {
    flush_resets();
    flush_all_pending();
    serve_writers();
    flush_all_pending();
  }
  tell_closed();
}

}  // namespace guest::drivers
