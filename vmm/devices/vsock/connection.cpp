#include "vmm/devices/vsock/connection.hpp"

#include <algorithm>
#include <array>

namespace vmm::vsock {
namespace {

constexpr std::uint32_t kShutdownBoth = abi::vsock::kShutdownReceive | abi::vsock::kShutdownSend;

/// Ranges handed to one readv/writev. A buffer of 64 KiB in pages is 16 of them; more only takes a further call.
constexpr std::size_t kIoRanges = 32;

}  // namespace

Connection::Connection(const ConnectionConfig& config, std::unique_ptr<Stream> stream, Counters& counters, State state)
    : config_(config),
      stream_(std::move(stream)),
      counters_(counters),
      state_(state),
      buffer_(config.buf_alloc_bytes) {}

std::unique_ptr<Connection> Connection::from_host(const ConnectionConfig& config, std::unique_ptr<Stream> stream,
                                                  Counters& counters) {
  std::unique_ptr<Connection> made(new Connection(config, std::move(stream), counters, State::Requesting));
  made->pending_ = kRequest;
  made->watch_stream();
  return made;
}

std::unique_ptr<Connection> Connection::from_guest(const ConnectionConfig& config, std::unique_ptr<Stream> stream,
                                                   const PacketHeader& request, Counters& counters) {
  std::unique_ptr<Connection> made(new Connection(config, std::move(stream), counters, State::Established));
  made->pending_ = kResponse;
  made->peer_buf_alloc_ = request.buf_alloc;
  made->peer_fwd_cnt_ = request.fwd_cnt;
  made->tx_cnt_ = request.fwd_cnt;  // nothing is in flight, wherever the guest starts to count
  made->fwd_cnt_told_ = made->fwd_cnt_;
  ++counters.established;
  made->watch_stream();
  return made;
}

void Connection::handle(const ReceivedPacket& packet, virtio::Reader& payload, TimePoint now) {
  if (end_ != End::None) return;  // our RST is on its way; what the guest sent before it saw that is void
  if (packet.op == Op::Rst) {
    if (state_ == State::Requesting) {
      stream_->refused("connection refused by the guest");
      return finish(End::RefusedByGuest, false);
    }
    return finish(our_shutdown_ == kShutdownBoth ? End::Closed : End::ResetByGuest, false);
  }
  if (state_ == State::Requesting) {
    handle_requesting(packet);
  } else {
    handle_established(packet, payload);
  }
  if (end_ == End::None && deadline_ && our_shutdown_ == kShutdownBoth && peer_fwd_cnt_ != progress_mark_) {
    progress_mark_ = peer_fwd_cnt_;
    deadline_ = now + config_.linger;
  }
  watch_stream();
}

void Connection::handle_requesting(const ReceivedPacket& packet) {
  if (packet.op != Op::Response || !request_sent_) return violation(counters_.drop_bad_operation);
  deadline_.reset();
  state_ = State::Established;
  peer_buf_alloc_ = packet.header.buf_alloc;
  peer_fwd_cnt_ = packet.header.fwd_cnt;
  tx_cnt_ = peer_fwd_cnt_;
  ++counters_.established;
  stream_->opened(config_.key.host_port);
}

void Connection::handle_established(const ReceivedPacket& packet, virtio::Reader& payload) {
  update_credit(packet.header);
  switch (packet.op) {
    case Op::Rw:
      return receive(packet.header.len, payload);
    case Op::Shutdown:
      peer_shutdown_ |= packet.header.flags & kShutdownBoth;
      if ((peer_shutdown_ & abi::vsock::kShutdownReceive) != 0 && stream_) stream_->shutdown_read();
      return settle();
    case Op::CreditRequest:
      pending_ |= kCreditUpdate;
      return;
    case Op::CreditUpdate:
      return;
    case Op::Invalid:
    case Op::Request:
    case Op::Response:
    case Op::Rst:
      break;
  }
  violation(counters_.drop_bad_operation);
}

void Connection::update_credit(const PacketHeader& header) {
  const std::uint32_t fwd_cnt = header.fwd_cnt;
  // A count that does not lessen what is in flight is old (drivers may queue packets of two CPUs out of order) or
  // impossible (ahead of what was sent); the guest gains nothing by it.
  if (tx_cnt_ - fwd_cnt <= tx_cnt_ - peer_fwd_cnt_) peer_fwd_cnt_ = fwd_cnt;
  peer_buf_alloc_ = header.buf_alloc;
  if (peer_credit() != 0) asked_for_credit_ = false;
}

std::uint32_t Connection::peer_credit() const {
  const std::uint32_t in_flight = tx_cnt_ - peer_fwd_cnt_;
  return in_flight >= peer_buf_alloc_ ? 0 : peer_buf_alloc_ - in_flight;
}

void Connection::receive(std::uint32_t bytes, virtio::Reader& payload) {
  if ((peer_shutdown_ & abi::vsock::kShutdownSend) != 0) return violation(counters_.drop_bad_operation);
  const std::uint32_t waiting = rx_cnt_ - fwd_cnt_;  // at most buf_alloc_bytes, by this very check
  if (bytes > config_.buf_alloc_bytes - waiting) return violation(counters_.drop_credit_violation);
  rx_cnt_ += bytes;
  counters_.tx_bytes += bytes;
  pass_on(bytes, payload);
}

void Connection::pass_on(std::size_t bytes, virtio::Reader& payload) {
  // Straight from guest memory to the socket, as long as order allows and the socket takes it.
  while (bytes != 0 && buffer_.empty() && !discard_) {
    std::array<iovec, kIoRanges> ranges;
    const std::size_t count = payload.peek_io(ranges, bytes);
    const auto [outcome, written] = stream_->write(std::span(ranges).first(count));
    if (outcome == Stream::Outcome::WouldBlock) break;
    if (outcome != Stream::Outcome::Done) {
      host_stopped_reading();
      if (outcome == Stream::Outcome::Failed) host_gone();
      break;
    }
    payload.skip(written);
    bytes -= written;
    counters_.host_written_bytes += written;
    forwarded(written);
  }
  if (discard_) return forwarded(bytes);
  buffer_.append(payload, bytes);
}

void Connection::forwarded(std::size_t bytes) {
  fwd_cnt_ += static_cast<std::uint32_t>(bytes);
  // Tell the guest early enough that a sender with more to send never waits: when it sees half of the buffer used.
  if (fwd_cnt_ != fwd_cnt_told_ && rx_cnt_ - fwd_cnt_told_ >= config_.buf_alloc_bytes / 2) pending_ |= kCreditUpdate;
}

void Connection::flush() {
  while (!buffer_.empty() && !discard_) {
    const auto ranges = buffer_.contents();
    const std::size_t count = ranges[1].iov_len == 0 ? 1 : 2;
    const auto [outcome, written] = stream_->write(std::span(ranges).first(count));
    if (outcome == Stream::Outcome::WouldBlock) return;
    if (outcome != Stream::Outcome::Done) {
      host_stopped_reading();
      if (outcome == Stream::Outcome::Failed) host_gone();
      return;
    }
    buffer_.drop(written);
    counters_.host_written_bytes += written;
    forwarded(written);
  }
}

std::size_t Connection::deliver() {
  const std::size_t before = buffer_.size();
  if (end_ == End::None && stream_) flush();
  return before - buffer_.size();
}

void Connection::host_stopped_reading() {
  if (discard_) return;
  discard_ = true;
  const std::size_t lost = buffer_.size();
  buffer_.clear();
  forwarded(lost);
  want_shutdown(abi::vsock::kShutdownReceive);
}

void Connection::host_gone() {
  host_eof_ = true;
  readable_ = false;
  host_stopped_reading();
  want_shutdown(kShutdownBoth);
}

void Connection::want_shutdown(std::uint32_t flags) {
  if ((our_shutdown_ | flags) == our_shutdown_) return;
  our_shutdown_ |= flags;
  pending_ |= kShutdown;
}

void Connection::settle() {
  if (end_ != End::None || state_ != State::Established) return;
  const bool guest_done = (peer_shutdown_ & abi::vsock::kShutdownSend) != 0 && buffer_.empty();
  if (guest_done && !discard_ && !write_shut_) {
    stream_->shutdown_write();
    write_shut_ = true;
  }
  if (peer_shutdown_ == kShutdownBoth && buffer_.empty()) return finish(End::Closed, true);
  if (host_eof_ && guest_done) want_shutdown(kShutdownBoth);
}

void Connection::finish(End end, bool send_reset) {
  end_ = end;
  pending_ = send_reset ? kReset : 0;
  deadline_.reset();
  stream_.reset();
  buffer_.clear();
}

void Connection::violation(Counter& reason) {
  ++reason;
  abort("the guest broke the protocol of its vsock device");
}

void Connection::abort(std::string_view reason) {
  if (end_ != End::None) return;
  const bool guest_knows = state_ == State::Established || request_sent_;
  if (state_ == State::Requesting) stream_->refused(reason);
  finish(End::ResetByHost, guest_knows);
}

void Connection::guest_reset() {
  if (end_ == End::None && state_ == State::Requesting) {
    pending_ = kRequest;
    request_sent_ = false;
    deadline_.reset();
    return;
  }
  if (end_ == End::None) end_ = our_shutdown_ == kShutdownBoth ? End::Closed : End::ResetByHost;
  finish(end_, false);
}

void Connection::stream_event(Events events) {
  if (end_ != End::None || !stream_) return;
  if (state_ == State::Requesting) {
    if (events.hangup || events.error) finish(End::Abandoned, request_sent_);
    return;
  }
  // A hang-up alone too: writing finds out, and a buffer that nobody will take must not be waited for.
  if (events.writable || events.hangup || events.error) flush();
  if (!host_eof_ && (events.readable || events.hangup || events.error)) readable_ = true;
  if (host_eof_ && (events.hangup || events.error)) host_gone();
  settle();
  watch_stream();
}

void Connection::watch_stream() {
  if (!stream_) return;
  if (state_ == State::Requesting) return stream_->watch(Interest::Hangup);
  const bool want_read =
      !readable_ && !host_eof_ && peer_credit() != 0 && (peer_shutdown_ & abi::vsock::kShutdownReceive) == 0;
  const bool want_write = !buffer_.empty();
  if (want_read && want_write) return stream_->watch(Interest::ReadWrite);
  if (want_read) return stream_->watch(Interest::Read);
  if (want_write) return stream_->watch(Interest::Write);
  // After the end of the stream, whether the client is gone altogether still matters.
  stream_->watch(host_eof_ && our_shutdown_ != kShutdownBoth ? Interest::Hangup : Interest::None);
}

bool Connection::can_send_data() const {
  return state_ == State::Established && end_ == End::None && readable_ && !host_eof_ && peer_credit() != 0 &&
         (peer_shutdown_ & abi::vsock::kShutdownReceive) == 0;
}

bool Connection::must_ask_for_credit() const {
  return state_ == State::Established && end_ == End::None && readable_ && !host_eof_ && !asked_for_credit_ &&
         peer_credit() == 0;
}

bool Connection::has_output() const { return pending_ != 0 || can_send_data() || must_ask_for_credit(); }

bool Connection::produce(virtio::Writer& writer, TimePoint now) {
  if (emit_pending(writer, kReset, Op::Rst)) return true;
  if (end_ != End::None) return false;
  if (emit_pending(writer, kRequest, Op::Request)) {
    request_sent_ = true;
    deadline_ = now + config_.request_timeout;
    return true;
  }
  if (state_ == State::Requesting) return false;
  if (emit_pending(writer, kResponse, Op::Response)) return true;
  const bool data = (pending_ & kShutdown) == 0 && can_send_data() && produce_data(writer);
  if (!data && (pending_ & kShutdown) != 0) {
    pending_ &= static_cast<std::uint8_t>(~kShutdown);
    emit(writer, Op::Shutdown, 0, our_shutdown_);
    if (our_shutdown_ == kShutdownBoth) {
      stream_.reset();
      progress_mark_ = peer_fwd_cnt_;
      deadline_ = now + config_.linger;
    }
    watch_stream();
    return true;
  }
  watch_stream();
  if (data || emit_pending(writer, kReset, Op::Rst)) return true;
  if (emit_pending(writer, kCreditUpdate, Op::CreditUpdate)) return true;
  if (must_ask_for_credit()) {
    asked_for_credit_ = true;
    emit(writer, Op::CreditRequest);
    return true;
  }
  return false;
}

bool Connection::produce_data(virtio::Writer& writer) {
  virtio::Writer header_place = writer;
  virtio::Writer payload = writer;
  payload.skip(sizeof(PacketHeader));
  const std::size_t limit = std::min<std::size_t>({peer_credit(), payload.available(), abi::vsock::kMaxPayloadBytes});
  std::array<iovec, kIoRanges> ranges;
  const std::size_t count = payload.peek_io(ranges, limit);
  std::size_t asked = 0;
  for (const iovec& range : std::span(ranges).first(count)) asked += range.iov_len;
  const auto [outcome, bytes] = stream_->read(std::span(ranges).first(count));
  if (outcome != Stream::Outcome::Done) {
    readable_ = false;
    if (outcome == Stream::Outcome::WouldBlock) return false;
    host_eof_ = true;
    if (outcome == Stream::Outcome::Failed) {
      host_gone();
    } else {
      want_shutdown(abi::vsock::kShutdownSend);
    }
    settle();
    return false;
  }
  if (bytes < asked) readable_ = false;  // drained, most likely; if not, the stream says so again
  tx_cnt_ += static_cast<std::uint32_t>(bytes);
  counters_.host_read_bytes += bytes;
  counters_.rx_bytes += bytes;
  emit(header_place, Op::Rw, static_cast<std::uint32_t>(bytes));
  writer.skip(sizeof(PacketHeader) + bytes);
  return true;
}

bool Connection::emit_pending(virtio::Writer& writer, Pending what, Op op) {
  if ((pending_ & what) == 0) return false;
  pending_ &= static_cast<std::uint8_t>(~what);
  emit(writer, op);
  return true;
}

void Connection::emit(virtio::Writer& writer, Op op, std::uint32_t payload_bytes, std::uint32_t flags) {
  writer.write(make_header(config_.guest_cid, {.key = config_.key,
                                               .op = op,
                                               .payload_bytes = payload_bytes,
                                               .flags = flags,
                                               .buf_alloc = config_.buf_alloc_bytes,
                                               .fwd_cnt = fwd_cnt_}));
  // Every packet carries our credit, so an update of its own is not needed any more.
  fwd_cnt_told_ = fwd_cnt_;
  pending_ &= static_cast<std::uint8_t>(~kCreditUpdate);
  if (op == Op::Rst) ++counters_.resets_sent;
}

void Connection::expire(TimePoint now) {
  if (!deadline_ || now < *deadline_) return;
  deadline_.reset();
  if (state_ == State::Requesting) {
    stream_->refused("the guest did not answer in time");
    return finish(End::TimedOut, true);
  }
  finish(End::Closed, true);  // the host's side had ended in order; the guest just never said so
}

}  // namespace vmm::vsock
