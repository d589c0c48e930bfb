// What the frames of a connection ask for.
#include <algorithm>
#include <new>
#include <utility>

#include "connection.hpp"

namespace guest::control {

namespace ctl = abi::control;
namespace error = abi::control::error;

namespace {

std::string_view code_of(security::TokenError token_error) {
  switch (token_error) {
    case security::TokenError::Expired:
    case security::TokenError::NoClock:
      return error::kTokenExpired;
    case security::TokenError::Revoked:
      return error::kTokenRevoked;
    case security::TokenError::Invalid:
    case security::TokenError::NoKey:
      break;
  }
  return error::kTokenInvalid;
}

}  // namespace

void Connection::bad_frame(std::uint32_t id, std::string_view code, std::string_view message) {
  server_.counters_.bad_frames.add();
  send_error(id, code, message);
}

/// A peer without a token has a few attempts, so that guessing costs it a connection each time; in version 0 one that
/// has a token has no more, for it sends one with each frame.
void Connection::strike() {
  if ((!authenticated_ || speaks_version0()) && ++strikes_ == kMaxStrikes) {
    close_after_output();
  }
}

/// From now on answers, and records of the audit log, are of another request.
void Connection::begin_request(std::size_t bytes) {
  asked_ = {.who = principal(), .bytes = static_cast<std::uint32_t>(bytes)};
}

void Connection::handle(const Frame& frame) {
  const auto id = read_request_id(frame);
  if (!id) {
    return bad_frame(ctl::kNoRequest, id.error().code, id.error().message);
  }
  if (*id == ctl::kNoRequest) {
    return bad_frame(*id, error::kMalformedFrame, "the request id must not be 0");
  }
  if (frame.header.flags != 0) {
    return bad_frame(*id, error::kMalformedFrame, "the flags of a frame must be 0");
  }
  const auto command = static_cast<ctl::Command>(frame.header.command);
  if (command != ctl::Command::Hello && command != ctl::Command::Call && command != ctl::Command::Cancel) {
    return bad_frame(*id, error::kUnknownCommand, "the command of a frame must be 0 (Hello), 1 (Call) or 2 (Cancel)");
  }
  const auto body = parse_cbor(frame.payload.subspan(sizeof(std::uint32_t)));
  if (!body) {
    kernel::FixedText<128> message;
    kernel::format_to(message, "at byte {}: {}", body.error().offset, body.error().what);
    return bad_frame(*id, error::kMalformedCbor, message.view());
  }
  if (body->type != CborType::Map) {
    return bad_frame(*id, error::kMalformedCbor, "the body of a frame must be a map");
  }
  if (find_pending(*id) != nullptr) {
    return send_error(*id, error::kBadArgument, "a call with this request id has not been answered yet");
  }
  if (command == ctl::Command::Hello) {
    return hello(*id, *body);
  }
  check_grant();
  if (!authenticated_) {
    return refuse_stranger(*id);
  }
  return command == ctl::Command::Call ? call(*id, *body) : cancel(*id, *body);
}

/// Refuses a map with a key that is not among `known`.
bool Connection::only_known_keys(std::uint32_t id, const CborValue& map, std::span<const std::string_view> known) {
  CborItems items(map);
  while (const auto key = items.next()) {
    items.next();
    if (std::find(known.begin(), known.end(), key->text()) != known.end()) {
      continue;
    }
    kernel::FixedText<64> allowed;
    for (const std::string_view name : known) {
      kernel::format_to(allowed, "{}{}", name == known.front() ? "" : ", ", name);
    }
    send_refusal(id, refuse(error::kUnknownArgument, key->text(), "unknown key '{}', allowed: {}",
                            kernel::escaped(key->text().substr(0, 32)), allowed.view())
                         .error());
    return false;
  }
  return true;
}

// ---- Hello ----

void Connection::hello(std::uint32_t id, const CborValue& body) {
  static constexpr std::string_view kKnown[] = {"token", "client"};
  asked_.hello = true;
  if (!only_known_keys(id, body, kKnown)) {
    return strike();
  }
  const auto client = find_cbor(body, "client");
  if (client && client->type != CborType::Text) {
    send_error(id, error::kBadArgument, "client must be a text", "client");
    return strike();
  }
  const auto raw = find_cbor(body, "token");
  if (!raw) {
    send_error(id, error::kMissingArgument, "Hello needs a token", "token");
    return strike();
  }
  if (raw->type != CborType::Bytes || raw->content.size() != sizeof(ctl::Token)) {
    send_error(id, error::kBadArgument, "token must be 48 bytes", "token");
    return strike();
  }
  Services& services = server_.services_;
  const auto grant = services.authority.accept(raw->content.first<sizeof(ctl::Token)>(), services.unix_now_ns());
  if (!grant) {
    server_.counters_.tokens_refused.add();
    send_error(id, code_of(grant.error()), security::to_string(grant.error()));
    return strike();
  }
  accept(id, *grant);
}

/// Its token is accepted.
void Connection::admit(const security::Grant& grant) {
  server_.counters_.tokens_accepted.add();
  grant_ = grant;
  authenticated_ = true;
  server_.services_.audit.add({.event = security::Event::TokenAccepted, .who = principal(), .bytes = asked_.bytes});
  ended_.reset();
  input_.set_limit(ctl::kMaxPayloadBytes);
  if (!closing_) {
    deadline_ns_ = kernel::kNoDeadline;
  }
}

/// Takes the token of a frame of version 0. False: it was refused, and the peer told so.
bool Connection::accept_legacy(std::uint64_t token) {
  const auto grant = server_.services_.authority.accept_legacy(token, origin_ == Origin::LegacySocket);
  asked_.hello = !grant;
  if (!grant) {
    server_.counters_.tokens_refused.add();
    send_error(ctl::kNoRequest, code_of(grant.error()), "the token is none of this machine's");
    strike();
    return false;
  }
  admit(*grant);
  asked_.who = principal();
  return true;
}

void Connection::accept(std::uint32_t id, const security::Grant& grant) {
  admit(grant);
  strikes_ = 0;
  CborWriter writer = body_writer();
  ResultMap result(writer);
  result.add("status", "ok");
  result.add("server", "sis");
  result.add("version", server_.services_.version);
  result.add("protocol", ctl::kVersion1);
  result.add("rights", static_cast<std::uint8_t>(grant.rights));
  result.add("max_payload", ctl::kMaxPayloadBytes);
  result.finish();
  send_reply(id, writer);
}

// ---- what a grant gives now ----

/// Finds out whether the grant has ended; then the peer is a stranger again.
void Connection::check_grant() {
  if (!authenticated_) {
    return;
  }
  const auto rights = server_.services_.authority.rights(grant_, server_.services_.unix_now_ns());
  if (rights) {
    return;
  }
  authenticated_ = false;
  ended_ = rights.error();
  if (server_.services_.llm != nullptr) {
    server_.services_.llm->close_connection(number_);
  }
  if (!closing_) {
    set_deadline(kHelloTimeoutNs);
  }
}

/// Calls end with the grant that they were begun under, which a later Hello may have replaced for new ones.
void Connection::check_calls() {
  if (version0_.waiting()) {
    const auto rights = server_.services_.authority.rights(grant_, server_.services_.unix_now_ns());
    if (!rights) {
      version0_.cancel();
      send_error(ctl::kNoRequest, error::kCancelled, security::to_string(rights.error()));
    }
  }
  if (pending_ == nullptr) {
    return;
  }
  for (Pending& pending : *pending_) {
    if (!pending.in_use()) {
      continue;
    }
    const security::Grant& grant = pending.grant();
    const auto rights = server_.services_.authority.rights(grant, server_.services_.unix_now_ns());
    if (!rights) {
      end_cancelled(pending, security::to_string(rights.error()));
    } else if (grant.expires_unix_ns != 0) {
      server_.watch_expiry(grant.expires_unix_ns);
    }
  }
}

void Connection::end_cancelled(Pending& pending, std::string_view why) {
  pending.cancel();
  const AuditedRequest present = std::exchange(asked_, pending.asked());
  send_error(pending.id(), error::kCancelled, why);
  asked_ = present;
}

void Connection::enforce_grants() {
  check_grant();
  check_calls();
  speaks_version0() ? pump() : settle();
}

void Connection::refuse_stranger(std::uint32_t id) {
  if (ended_) {
    send_error(id, code_of(*ended_), security::to_string(*ended_));
  } else {
    send_error(id, error::kUnauthenticated, "say Hello with a token first");
  }
  strike();
}

// ---- Call ----

void Connection::call(std::uint32_t id, const CborValue& body) {
  static constexpr std::string_view kKnown[] = {"op", "args"};
  if (!only_known_keys(id, body, kKnown)) {
    return;
  }
  const auto op = find_cbor(body, "op");
  if (!op || op->type != CborType::Text) {
    return send_error(id, op ? error::kBadArgument : error::kMissingArgument, "op must be the name of a command", "op");
  }
  const Command* command = find_command(op->text());
  if (command == nullptr) {
    return send_refusal(id, refuse(error::kUnknownOp, "op", "no command '{}'; the command help lists them",
                                   kernel::escaped(op->text().substr(0, 32)))
                                .error());
  }
  asked_.op = command->name;
  server_.services_.trace.record(kernel::TraceType::ControlBegin,
                                 static_cast<std::uint32_t>(command - command_table().data()), trace_number(id),
                                 asked_.bytes);
  asked_.needed = recorded_rights(*command);
  if (!ctl::allows(grant_.rights, command->rights)) {
    return send_refusal(id,
                        refuse(error::kForbidden, "", "'{}' needs rights {:#x}, the token gives {:#x}", command->name,
                               static_cast<unsigned>(command->rights), static_cast<unsigned>(grant_.rights))
                            .error());
  }
  const auto arguments = Arguments::parse_map(command->arguments, find_cbor(body, "args"));
  if (!arguments) {
    return send_refusal(id, arguments.error());
  }
  Pending* pending = free_pending();
  if (pending == nullptr) {
    return send_error(id, error::kBusy,
                      pending_ == nullptr ? "no memory for the calls of this connection"
                                          : "32 calls of this connection have not been answered yet");
  }
  run(id, *command, *arguments, *pending);
}

/// Who asks. Of a grant that has ended, who it was; nobody before the first.
security::Principal Connection::principal() const {
  if (!authenticated_ && !ended_) {
    return {.connection = number_};
  }
  return {.rights = grant_.rights,
          .token = grant_.kind == security::Grant::Kind::Token ? std::optional(grant_.token_id) : std::nullopt,
          .expires_unix_ns = grant_.expires_unix_ns,
          .connection = number_};
}

void Connection::run(std::uint32_t id, const Command& command, const Arguments& arguments, Pending& pending) {
  Services& services = server_.services_;
  services.caller = principal();
  pending.start(*this, id);
  // {status: "ok", result: {...}}: the handler writes the inner map in place.
  CborWriter writer = body_writer();
  writer.map(2);
  writer.entry("status", "ok");
  writer.text("result");
  ResultMap result(writer);
  const auto handled = command.handler(services, arguments, pending, result);
  if (!handled) {
    return send_refusal(id, handled.error());
  }
  if (*handled == Handled::Later) {
    kernel::require(pending.in_use(), "a command completes later and named no operation");
    if (grant_.expires_unix_ns != 0) {
      server_.watch_expiry(grant_.expires_unix_ns);
    }
    return;
  }
  result.finish();
  send_reply(id, writer);
  note_power_request();
}

/// After the answer to a command that may have asked for power-off or reset: it is carried out when the peer has gone,
/// so it has read the answer, or when that takes too long.
void Connection::note_power_request() {
  const PowerRequest& request = server_.services_.power_request;
  if (request.kind != PowerRequest::Kind::None && !request.scheduled) {
    wants_power_ = true;
    server_.schedule_power();
  }
}

// ---- Cancel ----

void Connection::cancel(std::uint32_t id, const CborValue& body) {
  static constexpr std::string_view kKnown[] = {"id"};
  if (!only_known_keys(id, body, kKnown)) {
    return;
  }
  const auto wanted = find_cbor(body, "id");
  if (!wanted || wanted->type != CborType::Unsigned || wanted->number > 0xFFFF'FFFF) {
    return send_error(id, wanted ? error::kBadArgument : error::kMissingArgument, "id must be a request's id", "id");
  }
  Pending* pending = find_pending(static_cast<std::uint32_t>(wanted->number));
  if (pending == nullptr) {
    return send_error(id, error::kNotFound, "no call with this id is waiting for its answer", "id");
  }
  end_cancelled(*pending, "cancelled by its client");
  CborWriter writer = body_writer();
  writer.map(2);
  writer.entry("status", "ok");
  writer.text("result");
  writer.map(0);
  send_reply(id, writer);
}

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
  return version0_.waiting() || (pending_ != nullptr && std::any_of(pending_->begin(), pending_->end(),
                                                                    [](const Pending& p) { return p.in_use(); }));
}

Connection::Pending* Connection::find_pending(std::uint32_t id) {
  if (pending_ == nullptr) {
    return nullptr;
  }
  const auto found =
      std::find_if(pending_->begin(), pending_->end(), [id](const Pending& p) { return p.in_use() && p.id() == id; });
  return found == pending_->end() ? nullptr : found;
}

}  // namespace guest::control
