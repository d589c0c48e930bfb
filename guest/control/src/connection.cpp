#include "connection.hpp"

#include <algorithm>
#include <new>

namespace guest::control {

namespace ctl = abi::control;
namespace error = abi::control::error;

Connection::Connection(Server& server, kernel::Stream& stream) : server_(server), stream_(stream) {}

Connection::~Connection() {
  if (pending_ == nullptr) {
    return;
  }
  for (Pending& pending : *pending_) {
    if (pending.in_use()) {
      server_.counters_.unanswered.add();
      pending.cancel();
    }
  }
}

// ---- life of the stream ----

void Connection::on_readable(kernel::Stream&) { pump(); }

void Connection::on_writable(kernel::Stream&) {
  flush();
  pump();
}

void Connection::on_closed(kernel::Stream&) {
  Services& services = server_.services_;
  const bool power = wants_power_;
  server_.forget(*this);  // frees this object
  if (power) {
    services.carry_out_power_request();
  }
}

void Connection::turn_away() {
  send_error(ctl::kNoRequest, error::kBusy, "the control server has no room for another connection");
  close_after_output();
  settle();
}

/// Takes frames while there is input and room for their answers.
void Connection::pump() {
  if (pumping_) {
    return;  // an answer that was sent at once came back here
  }
  pumping_ = true;
  while (!closing_ && output_.size() < kMaxPendingOutput && take_input()) {
  }
  pumping_ = false;
  settle();
}

/// Closes the stream when nothing is left to do. The last thing that a function does: this object may be gone after it.
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
  switch (input_.state()) {
    case FrameAssembler::State::NeedsBytes:
      break;
    case FrameAssembler::State::Complete:
      server_.counters_.requests.add();
      handle(input_.frame());
      input_.take();
      break;
    case FrameAssembler::State::Broken:
      server_.counters_.requests.add();
      server_.counters_.bad_frames.add();
      send_error(ctl::kNoRequest, input_.error().code, input_.error().message);
      close_after_output();
      break;
    case FrameAssembler::State::NoMemory:
      server_.counters_.requests.add();
      send_error(ctl::kNoRequest, error::kBusy, "no memory for the request");
      close_after_output();
      break;
  }
  return true;
}

void Connection::close_after_output() { closing_ = true; }

void Connection::flush() {
  while (!output_.empty()) {
    const std::size_t sent = stream_.write(output_.bytes());
    if (sent == 0) {
      return;
    }
    output_.consume(sent);
  }
}

// ---- requests ----

void Connection::handle(const Frame& frame) {
  const auto id = read_request_id(frame);
  if (!id) {
    server_.counters_.bad_frames.add();
    return send_error(ctl::kNoRequest, id.error().code, id.error().message);
  }
  if (frame.header.flags != 0) {
    server_.counters_.bad_frames.add();
    return send_error(*id, error::kMalformedFrame, "the flags of a frame must be 0");
  }
  const auto command = static_cast<ctl::Command>(frame.header.command);
  if (command != ctl::Command::Hello && command != ctl::Command::Call && command != ctl::Command::Cancel) {
    server_.counters_.bad_frames.add();
    return send_error(*id, error::kUnknownCommand, "the command of a frame must be 0 (Hello), 1 (Call) or 2 (Cancel)");
  }
  const auto body = parse_cbor(frame.payload.subspan(sizeof(std::uint32_t)));
  if (!body) {
    server_.counters_.bad_frames.add();
    kernel::FixedText<128> message;
    kernel::format_to(message, "at byte {}: {}", body.error().offset, body.error().what);
    return send_error(*id, error::kMalformedCbor, message.view());
  }
  if (body->type != CborType::Map) {
    server_.counters_.bad_frames.add();
    return send_error(*id, error::kMalformedCbor, "the body of a frame must be a map");
  }
  if (command == ctl::Command::Hello) {
    return hello(*id, *body);
  }
  if (!authenticated_) {
    return send_error(*id, error::kUnauthenticated, "say Hello with a token first");
  }
  return command == ctl::Command::Call ? call(*id, *body) : cancel(*id, *body);
}

namespace {

/// The first key of `map` that is not among `known`, or an empty text.
std::string_view unknown_key(const CborValue& map, std::span<const std::string_view> known) {
  CborItems items(map);
  while (const auto key = items.next()) {
    items.next();
    if (std::find(known.begin(), known.end(), key->text()) == known.end()) {
      return key->text();
    }
  }
  return {};
}

}  // namespace

void Connection::hello(std::uint32_t id, const CborValue& body) {
  static constexpr std::string_view kKnown[] = {"token", "client"};
  if (const std::string_view key = unknown_key(body, kKnown); !key.empty()) {
    return send_error(id, error::kUnknownArgument, "Hello takes: token, client", key);
  }
  const auto client = find_cbor(body, "client");
  if (client && client->type != CborType::Text) {
    return send_error(id, error::kBadArgument, "client must be a text", "client");
  }
  const auto raw = find_cbor(body, "token");
  if (!raw) {
    return send_error(id, error::kMissingArgument, "Hello needs a token", "token");
  }
  if (raw->type != CborType::Bytes || raw->content.size() != sizeof(ctl::Token)) {
    return send_error(id, error::kBadArgument, "token must be 48 bytes", "token");
  }
  if (!server_.key_) {
    server_.counters_.tokens_refused.add();
    return send_error(id, error::kTokenInvalid, "this machine was booted without a control key: nobody is accepted");
  }
  const auto token =
      security::check_token(raw->content.first<sizeof(ctl::Token)>(), *server_.key_, server_.unix_now_ns());
  if (!token) {
    server_.counters_.tokens_refused.add();
    const bool invalid = token.error() == security::TokenError::Invalid;
    return send_error(id, invalid ? error::kTokenInvalid : error::kTokenExpired, security::to_string(token.error()));
  }
  rights_ = static_cast<ctl::Rights>(token->rights);
  authenticated_ = true;
  CborWriter writer = body_writer();
  ResultMap result(writer);
  result.add("server", "sis");
  result.add("version", server_.services_.version);
  result.add("protocol", ctl::kVersion1);
  result.add("rights", token->rights);
  result.add("max_payload", ctl::kMaxPayloadBytes);
  result.finish();
  send_reply(id, writer);
}

void Connection::call(std::uint32_t id, const CborValue& body) {
  static constexpr std::string_view kKnown[] = {"op", "args"};
  if (const std::string_view key = unknown_key(body, kKnown); !key.empty()) {
    return send_error(id, error::kUnknownArgument, "Call takes: op, args", key);
  }
  const auto op = find_cbor(body, "op");
  if (!op || op->type != CborType::Text) {
    return send_error(id, op ? error::kBadArgument : error::kMissingArgument, "op must be the name of a command", "op");
  }
  const Command* command = find_command(op->text());
  if (command == nullptr) {
    kernel::FixedText<128> message;
    kernel::format_to(message, "no command '{}'; the command help lists them",
                      kernel::escaped(op->text().substr(0, 64)));
    return send_error(id, error::kUnknownOp, message.view(), "op");
  }
  if (!ctl::allows(rights_, command->rights)) {
    kernel::FixedText<128> message;
    kernel::format_to(message, "'{}' needs rights {:#x}, the token gives {:#x}", command->name,
                      static_cast<unsigned>(command->rights), static_cast<unsigned>(rights_));
    return send_error(id, error::kForbidden, message.view());
  }
  const auto arguments = Arguments::parse_map(command->arguments, find_cbor(body, "args"));
  if (!arguments) {
    const Refusal& refusal = arguments.error();
    return send_error(id, refusal.code, refusal.message.view(), refusal.field.view());
  }
  if (find_pending(id) != nullptr) {
    return send_error(id, error::kBadArgument, "a call with this request id has not been answered yet");
  }
  Pending* pending = free_pending();
  if (pending == nullptr) {
    return send_error(id, error::kBusy, "32 calls of this connection have not been answered yet");
  }
  run(id, *command, *arguments, *pending);
}

void Connection::run(std::uint32_t id, const Command& command, const Arguments& arguments, Pending& pending) {
  Services& services = server_.services_;
  services.caller_rights = rights_;
  pending.start(*this, id);
  // {status: "ok", result: {...}}: the handler writes the inner map in place.
  CborWriter writer = body_writer();
  writer.map(2);
  writer.entry("status", "ok");
  writer.text("result");
  ResultMap result(writer);
  const auto handled = command.handler(services, arguments, pending, result);
  if (!handled) {
    const Refusal& refusal = handled.error();
    return send_error(id, refusal.code, refusal.message.view(), refusal.field.view());
  }
  if (*handled == Handled::Later) {
    return;
  }
  result.finish();
  send_reply(id, writer);
  if (services.power_request.kind != PowerRequest::Kind::None && !wants_power_) {
    wants_power_ = true;
    server_.schedule_power();
  }
}

void Connection::cancel(std::uint32_t id, const CborValue& body) {
  static constexpr std::string_view kKnown[] = {"id"};
  if (const std::string_view key = unknown_key(body, kKnown); !key.empty()) {
    return send_error(id, error::kUnknownArgument, "Cancel takes: id", key);
  }
  const auto wanted = find_cbor(body, "id");
  if (!wanted || wanted->type != CborType::Unsigned || wanted->number > 0xFFFF'FFFF) {
    return send_error(id, wanted ? error::kBadArgument : error::kMissingArgument, "id must be a request's id", "id");
  }
  Pending* pending = find_pending(static_cast<std::uint32_t>(wanted->number));
  if (pending == nullptr) {
    return send_error(id, error::kNotFound, "no call with this id is waiting for its answer", "id");
  }
  const std::uint32_t cancelled = pending->id();
  pending->cancel();
  send_error(cancelled, error::kCancelled, "cancelled");
  CborWriter writer = body_writer();
  writer.map(2);
  writer.entry("status", "ok");
  writer.text("result");
  writer.map(0);
  send_reply(id, writer);
}

// ---- calls that complete later ----

Connection::Pending* Connection::free_pending() {
  if (pending_ == nullptr) {
    pending_.reset(new (std::nothrow) std::array<Pending, kMaxPendingCalls>());
    if (pending_ == nullptr) {
      return nullptr;
    }
  }
  const auto found = std::find_if(pending_->begin(), pending_->end(), [](const Pending& p) { return !p.in_use(); });
  return found == pending_->end() ? nullptr : found;
}

bool Connection::has_pending() const {
  return pending_ != nullptr &&
         std::any_of(pending_->begin(), pending_->end(), [](const Pending& p) { return p.in_use(); });
}

Connection::Pending* Connection::find_pending(std::uint32_t id) {
  if (pending_ == nullptr) {
    return nullptr;
  }
  const auto found =
      std::find_if(pending_->begin(), pending_->end(), [id](const Pending& p) { return p.in_use() && p.id() == id; });
  return found == pending_->end() ? nullptr : found;
}

void Connection::Pending::complete(std::span<const std::byte> result) {
  operation_ = nullptr;
  connection_->send_result(id_, result);
  connection_->pump();
}

void Connection::Pending::fail(const Refusal& refusal) {
  operation_ = nullptr;
  connection_->send_error(id_, refusal.code, refusal.message.view(), refusal.field.view());
  connection_->pump();
}

void Connection::Pending::cancel() {
  Operation* operation = operation_;
  operation_ = nullptr;
  operation->cancel();
}

// ---- answers ----

CborWriter Connection::body_writer() { return CborWriter(std::span(*server_.reply_).subspan(kFramePrefixBytes)); }

void Connection::send_reply(std::uint32_t id, const CborWriter& body) {
  if (body.overflowed()) {
    return send_error(id, error::kFailed, "the answer is longer than a frame of 65536 bytes");
  }
  send(ctl::Command::Reply, id, body);
}

void Connection::send_result(std::uint32_t id, std::span<const std::byte> result) {
  CborWriter writer = body_writer();
  writer.map(2);
  writer.entry("status", "ok");
  writer.text("result");
  writer.raw(result);
  send_reply(id, writer);
}

void Connection::send_error(std::uint32_t id, std::string_view code, std::string_view message, std::string_view field) {
  CborWriter writer = body_writer();
  writer.map(field.empty() ? 3 : 4);
  writer.entry("status", "error");
  writer.entry("code", code);
  writer.entry("message", message);
  if (!field.empty()) {
    writer.entry("field", field.substr(0, 64));
  }
  send(ctl::Command::Error, id, writer);
}

void Connection::send(ctl::Command command, std::uint32_t id, const CborWriter& body) {
  const std::size_t bytes = kFramePrefixBytes + body.written().size();
  write_frame_prefix(std::span(*server_.reply_).first<kFramePrefixBytes>(), command, id, body.written().size());
  if (!output_.append(std::span(*server_.reply_).first(bytes))) {
    // Without memory for the answer the connection cannot keep its promise; the peer sees it end.
    server_.counters_.unanswered.add();
    close_after_output();
    output_.clear();
    return;
  }
  (command == ctl::Command::Reply ? server_.counters_.replies_ok : server_.counters_.replies_error).add();
  flush();
}

}  // namespace guest::control
