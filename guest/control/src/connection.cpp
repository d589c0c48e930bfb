#include "connection.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace guest::control {

namespace ctl = abi::control;
namespace error = abi::control::error;

namespace {

/// Of version 0, without its end: a code and the longest message of a Refusal.
constexpr std::size_t kMaxErrorLine = 240;

/// How a call ended, in the trace.
constexpr std::uint32_t kTraceDone = 0;
constexpr std::uint32_t kTraceRefused = 1;
constexpr std::uint32_t kTraceGone = 2;

}  // namespace

// ---- life of the stream ----

Connection::Connection(Server& server, kernel::Stream& stream, Origin origin, std::uint32_t number)
    : server_(server), stream_(stream), origin_(origin), number_(number) {
  input_.set_limit(kMaxHelloPayload);
  if (origin == Origin::LegacySocket) {
    input_.set_version(ctl::kVersion0);
  }
  set_deadline(kHelloTimeoutNs);
}

Connection::~Connection() {
  account(output_.size(), false);
  if (version0_.waiting()) {
    server_.counters_.unanswered.add();
    version0_.cancel();
    audit(server_.services_, asked_, error::kCancelled);
  }
  if (pending_ == nullptr) {
    return;
  }
  for (Pending& pending : *pending_) {
    if (pending.in_use()) {
      server_.counters_.unanswered.add();
      pending.cancel();
      audit(server_.services_, pending.asked(), error::kCancelled);
      server_.services_.trace.record(kernel::TraceType::ControlEnd, kTraceGone, trace_number(pending.id()));
    }
  }
}

void Connection::on_readable(kernel::Stream&) { pump(); }
void Connection::on_writable(kernel::Stream&) { pump(); }
void Connection::take_turn() { pump(); }

void Connection::on_closed(kernel::Stream&) {
  Server& server = server_;
  const bool power = wants_power_;
  server.forget(*this);  // frees this object
  if (power) {
    server.carry_out_power_request();
  }
}

void Connection::turn_away() {
  notice(error::kBusy, "the control server has no room for another connection");
  settle();
}

void Connection::expire() {
  deadline_ns_ = kernel::kNoDeadline;
  if (closing_) {
    return give_up();
  }
  notice(error::kUnauthenticated, "no token was accepted within 30 seconds");
  settle();
}

void Connection::set_deadline(std::uint64_t delay_ns) {
  deadline_ns_ = server_.services_.clock.now_ns() + delay_ns;
  server_.watch(*this);
}

void Connection::close_after_output() {
  if (!closing_) {
    closing_ = true;
    set_deadline(kCloseTimeoutNs);
  }
}

/// Ends the connection with what is left of its output: it cannot be delivered, or its peer takes none of it.
void Connection::give_up() {
  closing_ = close_sent_ = true;
  deadline_ns_ = kernel::kNoDeadline;
  stream_.reset();
}

// ---- bytes ----

/// Takes frames while there is input, room for their answers, and time in this turn.
void Connection::pump() {
  if (pumping_) {
    return;  // an answer that was sent at once came back here
  }
  pumping_ = true;
  wants_turn_ = false;
  turn_left_ = kRequestsPerTurn;
  flush();
  while (!closing_ && !version0_.waiting() && output_.size() < kMaxPendingOutput && turn_left_ > 0 &&
         !server_.is_held() && take_input()) {
  }
  pumping_ = false;
  flush();
  offer_room();
  const bool held = server_.is_held();
  if (!closing_ && (turn_left_ == 0 || held)) {
    wants_turn_ = true;
    held ? server_.schedule_turn_later() : server_.schedule_turn();
  }
  settle();
}

/// Closes the stream when nothing is left to do.
void Connection::settle() {
  if (stream_.receive_ended() && !has_pending()) {
    close_after_output();
  }
  if (closing_ && !close_sent_ && output_.empty()) {
    close_sent_ = true;
    stream_.close();
  }
}

/// Moves on by one piece of input; false: there is none.
bool Connection::take_input() {
  const std::span<const std::byte> bytes = stream_.peek();
  if (bytes.empty()) {
    return false;
  }
  stream_.consume(input_.append(bytes));
  if (input_.state() == FrameAssembler::State::NeedsBytes) {
    return true;
  }
  server_.counters_.requests.add();
  --turn_left_;
  begin_request(input_.state() == FrameAssembler::State::Complete ? input_.frame().payload.size() : 0);
  if (input_.state() == FrameAssembler::State::Complete) {
    speaks_version0() ? version0_.handle(input_.frame()) : handle(input_.frame());
    input_.take();
    return true;
  }
  if (input_.state() == FrameAssembler::State::Broken) {
    bad_frame(ctl::kNoRequest, input_.error().code, input_.error().message);
  } else {
    send_error(ctl::kNoRequest, error::kBusy, "no memory for the request");
  }
  close_after_output();
  return false;
}

void Connection::flush() {
  bool moved = false;
  while (!output_.empty() && !close_sent_) {
    const std::size_t sent = stream_.write(output_.bytes());
    if (sent == 0) {
      break;
    }
    moved = true;
    account(sent, true);
    output_.consume(sent);
  }
  if (output_.empty() && output_.capacity() > kFlushBytes) {
    output_.clear();  // gives the memory of a long answer back
  }
  if (!output_.empty() && !close_sent_ && stream_.send_ended()) {
    return give_up();
  }
  if (moved && closing_) {
    set_deadline(kCloseTimeoutNs);  // slow is not dead
  }
}

/// Looks at the answer that `output` begins with. Our own: it is whole, and well-formed.
void Connection::begin_answer(std::span<const std::byte> output) {
  if (speaks_version0()) {
    frame_left_ = static_cast<std::size_t>(std::ranges::find(output, std::byte{'\n'}) - output.begin()) + 1;
    frame_command_ = output.front() == std::byte{'O'} ? ctl::Command::Reply : ctl::Command::Error;
    return;
  }
  ctl::FrameHeader header;
  std::memcpy(&header, output.data(), sizeof(header));
  frame_left_ = sizeof(header) + header.length;
  frame_command_ = static_cast<ctl::Command>(header.command);
}

/// Counts the answers that end within the first `bytes` of the output, which leave it.
void Connection::account(std::size_t bytes, bool delivered) {
  std::size_t at = 0;
  while (at < bytes) {
    if (frame_left_ == 0) {
      begin_answer(output_.bytes().subspan(at));
    }
    const std::size_t step = std::min(bytes - at, frame_left_);
    at += step;
    frame_left_ -= step;
    if (frame_left_ > 0) {
      return;
    }
    ServerCounters& counters = server_.counters_;
    if (notice_ && at == output_.size()) {
      counters.notices.add(delivered ? 1 : 0);
    } else if (frame_command_ == ctl::Command::Event) {
      counters.events.add(delivered ? 1 : 0);
    } else {
      const bool is_reply = frame_command_ == ctl::Command::Reply;
      (!delivered ? counters.unanswered : is_reply ? counters.replies_ok : counters.replies_error).add();
    }
  }
}

// ---- calls that complete later ----

void Connection::Pending::complete(std::span<const std::byte> result) {
  operation_ = nullptr;
  const AuditedRequest present = std::exchange(connection_->asked_, asked_);
  connection_->send_result(id_, result);
  connection_->asked_ = present;
  connection_->pump();
}

void Connection::Pending::fail(const Refusal& refusal) {
  operation_ = nullptr;
  const AuditedRequest present = std::exchange(connection_->asked_, asked_);
  connection_->send_refusal(id_, refusal);
  connection_->asked_ = present;
  connection_->pump();
}

void Connection::Pending::cancel() {
  Operation* operation = operation_;
  operation_ = nullptr;
  operation->cancel();
}

bool Connection::Pending::has_room() {
  const bool room = connection_->has_event_room();
  wants_room_ = !room;
  return room;
}

bool Connection::Pending::emit(std::span<const std::byte> event) {
  return has_room() && connection_->send_event(id_, event);
}

void Connection::Pending::offer_room() {
  if (in_use() && wants_room_) {
    wants_room_ = false;
    operation_->on_room();
  }
}

// ---- events ----

bool Connection::has_event_room() {
  if (!closing_ && output_.size() >= kMaxEventOutput) {
    flush();
  }
  // Looked at again: it may be closing since.
  const bool room = !closing_ && output_.size() < kMaxEventOutput;
  wants_room_ = wants_room_ || !room;
  return room;
}

/// Straight into the output: a reply may be half-built in the server's memory. There is room. False: no memory.
bool Connection::send_event(std::uint32_t id, std::span<const std::byte> event) {
  std::array<std::byte, kFramePrefixBytes> prefix;
  write_frame_prefix(prefix, ctl::Command::Event, id, event.size());
  if (!output_.reserve(prefix.size() + event.size()) || !output_.append(prefix) || !output_.append(event)) {
    return false;
  }
  flush();
  return true;
}

/// Half of the room must be free, so that who reads little is not asked for every little.
void Connection::offer_room() {
  if (!wants_room_ || closing_ || output_.size() > kMaxEventOutput / 2) {
    return;
  }
  wants_room_ = false;
  for (Pending& pending : *pending_) {
    pending.offer_room();
  }
}

// ---- answers ----

CborWriter Connection::body_writer() { return CborWriter(std::span(*server_.reply_).subspan(kFramePrefixBytes)); }

void Connection::send_reply(std::uint32_t id, const CborWriter& body) {
  if (body.overflowed()) {
    return send_error(id, error::kTooLarge, "the answer is longer than a frame of 65536 bytes");
  }
  audit(server_.services_, asked_, {});
  send(ctl::Command::Reply, id, body);
}

void Connection::send_result(std::uint32_t id, std::span<const std::byte> result) {
  CborWriter writer = body_writer();
  writer.map(2);
  writer.entry("status", "ok");
  writer.text("result");
  writer.raw(result);
  send_reply(id, writer);
  note_power_request();
}

void Connection::send_error(std::uint32_t id, std::string_view code, std::string_view message, std::string_view field,
                            std::uint64_t fits_at_ns) {
  server_.counters_.count_error(code);
  audit(server_.services_, asked_, code);
  if (speaks_version0()) {
    kernel::FixedText<kMaxErrorLine> line;
    kernel::format_to(line, "ERR {} {}", code, message);
    return send_line(line.view());
  }
  CborWriter writer = body_writer();
  writer.map(3 + (field.empty() ? 0 : 1) + (fits_at_ns == 0 ? 0 : 2));
  writer.entry("status", "error");
  writer.entry("code", code);
  writer.entry("message", message);
  if (!field.empty()) {
    writer.entry("field", field);
  }
  if (fits_at_ns != 0) {
    const std::uint64_t now_ns = server_.services_.clock.now_ns();
    writer.entry("fits_at_ns", fits_at_ns);
    writer.entry("fits_in_ns", fits_at_ns > now_ns ? fits_at_ns - now_ns : 0);
  }
  send(ctl::Command::Error, id, writer);
}

void Connection::send_refusal(std::uint32_t id, const Refusal& refusal) {
  send_error(id, refusal.code, refusal.message.view(), refusal.field.view(), refusal.fits_at_ns);
}

/// The last word to the peer: an Error that answers no request, then the end.
void Connection::notice(std::string_view code, std::string_view message) {
  notice_ = true;
  begin_request(0);
  send_error(ctl::kNoRequest, code, message);
  close_after_output();
}

void Connection::send(ctl::Command command, std::uint32_t id, const CborWriter& body) {
  if (!asked_.op.empty()) {  // else it had not come to a command
    server_.services_.trace.record(kernel::TraceType::ControlEnd,
                                   command == ctl::Command::Reply ? kTraceDone : kTraceRefused, trace_number(id));
  }
  const std::size_t bytes = kFramePrefixBytes + body.written().size();
  write_frame_prefix(std::span(*server_.reply_).first<kFramePrefixBytes>(), command, id, body.written().size());
  queue(std::span(*server_.reply_).first(bytes));
}

/// An answer of version 0. A client goes by lines of text: what is neither becomes '?'.
void Connection::send_done(std::string_view line) {
  audit(server_.services_, asked_, {});
  send_line(line);
}

void Connection::send_line(std::string_view line) {
  kernel::require(line.size() <= kMaxVersion0Line, "an answer of version 0 is longer than a line may be");
  std::array<std::byte, kMaxVersion0Line + 1> bytes;
  std::ranges::transform(line, bytes.begin(), [](char c) { return std::byte(c >= ' ' && c <= '~' ? c : '?'); });
  bytes[line.size()] = std::byte{'\n'};
  queue(std::span(bytes).first(line.size() + 1));
}

void Connection::queue(std::span<const std::byte> answer) {
  if (!output_.append(answer)) {
    // Without memory for the answer the connection cannot keep its promise; the peer sees it end.
    server_.counters_.unanswered.add(notice_ ? 0 : 1);
    notice_ = false;
    return give_up();
  }
  // The answers of one turn leave together, when it ends.
  if (!pumping_ || output_.size() >= kFlushBytes) {
    flush();
  }
}

}  // namespace guest::control
