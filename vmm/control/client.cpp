#include "vmm/control/client.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace vmm::control {
namespace {

namespace wire = abi::control;
using Kind = ClientError::Kind;
using nlohmann::json;

/// Bytes read at a time.
constexpr std::size_t kReadBytes = 16'384;

ClientError make_error(Kind kind, std::string message) {
  return ClientError{.kind = kind, .message = std::move(message)};
}

const std::string* text_of(const json& body, const char* key) {
  const auto found = body.find(key);
  return found == body.end() ? nullptr : found->get_ptr<const std::string*>();
}

/// The refusal that an Error frame carries; a Protocol error if it does not carry one.
ClientError refusal(const Frame& frame) {
  const std::string* status = text_of(frame.body, "status");
  const std::string* code = text_of(frame.body, "code");
  const std::string* message = text_of(frame.body, "message");
  const std::string* field = text_of(frame.body, "field");
  if (status == nullptr || *status != "error" || code == nullptr || code->empty() || message == nullptr ||
      (field == nullptr && frame.body.contains("field"))) {
    return make_error(Kind::Protocol, "an error from the guest is not {status: \"error\", code, message[, field]}: " +
                                          frame.body.dump());
  }
  return ClientError{
      .kind = Kind::Refused, .message = *message, .code = *code, .field = field == nullptr ? "" : *field};
}

/// The map under "result" of a reply to Call.
ClientResult<json> result_of(json body) {
  const std::string* status = text_of(body, "status");
  const auto result = body.find("result");
  if (status == nullptr || *status != "ok" || result == body.end() || !result->is_object()) {
    return std::unexpected(make_error(Kind::Protocol, "a reply is not {status: \"ok\", result: map}: " + body.dump()));
  }
  return std::move(*result);
}

}  // namespace

ClientResult<Client> Client::connect(const std::string& socket_path, const wire::Token& token, Deadline deadline) {
  auto stream = connect_vsock(socket_path, wire::kPort, deadline);
  if (!stream) return std::unexpected(std::move(stream.error()));
  return over(std::move(*stream), token, deadline);
}

ClientResult<Client> Client::over(UniqueFd stream, const wire::Token& token, Deadline deadline) {
  Client client(std::move(stream));
  std::vector<std::uint8_t> token_bytes(sizeof(token));
  std::memcpy(token_bytes.data(), &token, sizeof(token));
  const auto id =
      client.send_command(wire::Command::Hello, {{"token", json::binary(std::move(token_bytes))}}, deadline);
  if (!id) return std::unexpected(id.error());
  auto hello = client.receive_body(*id, deadline);
  if (!hello) return std::unexpected(std::move(hello.error()));
  client.hello_ = std::move(*hello);
  const auto limit = client.hello_.find("max_payload");
  if (limit == client.hello_.end() || !limit->is_number_unsigned()) {
    return std::unexpected(
        make_error(Kind::Protocol, "the reply to Hello has no max_payload: " + client.hello_.dump()));
  }
  client.max_payload_ =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(limit->get<std::uint64_t>(), wire::kMaxPayloadBytes));
  return client;
}

ClientResult<json> Client::call(const std::string& op, const json& args, Deadline deadline) {
  const auto id = send(op, args, deadline);
  if (!id) return std::unexpected(id.error());
  return receive(*id, deadline);
}

ClientResult<std::uint32_t> Client::send(const std::string& op, const json& args, Deadline deadline) {
  json body = {{"op", op}};
  if (!args.empty()) body["args"] = args;
  return send_command(wire::Command::Call, body, deadline);
}

ClientResult<json> Client::receive(std::uint32_t id, Deadline deadline) {
  auto body = receive_body(id, deadline);
  if (!body) return body;
  auto result = result_of(std::move(*body));
  if (!result) return broken(std::move(result.error()));
  return result;
}

void Client::interrupt() const { ::shutdown(fd_.get(), SHUT_RDWR); }

ClientResult<std::uint32_t> Client::subscribe(const std::string& op, const json& args, Deadline deadline) {
  const auto id = send(op, args, deadline);
  if (id) events_.try_emplace(*id);  // nothing has been read since it was sent
  return id;
}

ClientResult<Client::Next> Client::next(std::uint32_t id, Deadline deadline) {
  while (true) {
    const auto found = events_.find(id);
    if (found != events_.end() && !found->second.kept.empty()) {
      Next next{.is_event = true,
                .body = std::move(found->second.kept.front()),
                .dropped = std::exchange(found->second.dropped, 0)};
      found->second.kept.pop_front();
      return next;
    }
    const auto request = outstanding_.find(id);
    if (broken_ || found == events_.end() || request == outstanding_.end() || request->second) {
      const std::uint64_t dropped = found == events_.end() ? 0 : found->second.dropped;
      events_.erase(id);
      auto result = receive(id, deadline);
      if (!result) return std::unexpected(std::move(result.error()));
      return Next{.is_event = false, .body = std::move(*result), .dropped = dropped};
    }
    if (auto read = read_frames(deadline); !read) {
      if (read.error().kind == Kind::Timeout) return std::unexpected(std::move(read.error()));
      // As in receive_body(): what came before may be the answer.
      static_cast<void>(broken(std::move(read.error())));
    }
  }
}

ClientResult<std::uint32_t> Client::wait(Deadline deadline) {
  while (true) {
    for (const auto& [id, events] : events_) {
      const auto request = outstanding_.find(id);
      if (!events.kept.empty() || request == outstanding_.end() || request->second) return id;
    }
    if (broken_) return std::unexpected(*broken_);
    if (auto read = read_frames(deadline); !read) {
      if (read.error().kind == Kind::Timeout) return std::unexpected(std::move(read.error()));
      // As in next(): what came before may be for one of them.
      static_cast<void>(broken(std::move(read.error())));
    }
  }
}

std::expected<void, ClientError> Client::cancel(std::uint32_t id, Deadline deadline) {
  events_.erase(id);
  const auto sent = send_command(wire::Command::Cancel, {{"id", id}}, deadline);
  if (!sent) return std::unexpected(sent.error());
  // Both are answered, whichever way: the call may have ended by itself meanwhile.
  for (const std::uint32_t each : {*sent, id}) {
    if (const auto answer = receive_body(each, deadline); !answer && answer.error().kind != Kind::Refused) {
      return std::unexpected(answer.error());
    }
  }
  return {};
}

ClientResult<std::uint32_t> Client::send_command(wire::Command command, const json& body, Deadline deadline) {
  if (broken_) return std::unexpected(*broken_);
  if (outstanding_.size() >= kMaxOutstanding) {
    return std::unexpected(make_error(
        Kind::BadRequest, std::to_string(kMaxOutstanding) + " requests wait for replies already; receive some first"));
  }
  const std::uint32_t id = unused_id();
  const auto frame = encode_frame(command, id, body, max_payload_);
  if (!frame) return std::unexpected(make_error(Kind::BadRequest, frame.error()));
  return write_frame(id, *frame, deadline);
}

/// Replies are read while the request waits for room. A guest that blocks until we take its replies would otherwise
/// wait for us, and we for it.
ClientResult<std::uint32_t> Client::write_frame(std::uint32_t id, const std::vector<std::uint8_t>& frame,
                                                Deadline deadline) {
  outstanding_.emplace(id, std::nullopt);
  std::span<const std::uint8_t> left(frame);
  const auto fail = [&](ClientError error) -> ClientResult<std::uint32_t> {
    outstanding_.erase(id);
    const bool halfway = left.size() != frame.size();
    if (error.kind != Kind::Timeout || halfway) return broken(std::move(error));
    return std::unexpected(std::move(error));
  };
  while (!left.empty()) {
    const auto ready = wait_ready(fd_, true, deadline);
    if (!ready) return fail(ready.error());
    if (ready->readable) {
      if (auto read = read_frames(deadline); !read) return fail(std::move(read.error()));
    }
    if (!ready->writable) {
      if (std::chrono::steady_clock::now() >= deadline) return fail(make_error(Kind::Timeout, "no answer in time"));
      continue;
    }
    const auto written = write_some(fd_, left, deadline);
    if (!written) {
      // The guest may have said why before it closed.
      if (auto read = read_frames(deadline); !read && read.error().kind != Kind::Timeout) return fail(read.error());
      return fail(written.error());
    }
    left = left.subspan(*written);
  }
  return id;
}

ClientResult<json> Client::receive_body(std::uint32_t id, Deadline deadline) {
  while (true) {
    const auto found = outstanding_.find(id);
    if (found == outstanding_.end()) {
      if (broken_) return std::unexpected(*broken_);
      return std::unexpected(make_error(Kind::BadRequest, "no request " + std::to_string(id) + " waits for a reply"));
    }
    if (found->second) {
      Frame frame = std::move(*found->second);
      outstanding_.erase(found);
      if (frame.command == wire::Command::Reply) return std::move(frame.body);
      ClientError error = refusal(frame);
      if (error.kind == Kind::Protocol) return broken(std::move(error));
      return std::unexpected(std::move(error));
    }
    if (broken_) return std::unexpected(*broken_);
    if (auto read = read_frames(deadline); !read) {
      if (read.error().kind == Kind::Timeout) {
        outstanding_.erase(id);
        given_up_.insert(id);
        return std::unexpected(std::move(read.error()));
      }
      // What came before the connection ended has been sorted in and may be the reply: look once more.
      static_cast<void>(broken(std::move(read.error())));
    }
  }
}

std::expected<void, ClientError> Client::read_frames(Deadline deadline) {
  // A guest that sends without end keeps the socket readable; the deadline holds nevertheless.
  if (std::chrono::steady_clock::now() >= deadline) {
    return std::unexpected(make_error(Kind::Timeout, "no answer in time"));
  }
  std::array<std::uint8_t, kReadBytes> buffer;
  const auto count = read_some(fd_, buffer, deadline);
  if (!count) return std::unexpected(count.error());
  if (*count == 0) {
    const std::size_t pending = reader_.pending_bytes();
    return std::unexpected(make_error(
        Kind::ConnectionLost, pending == 0 ? "the guest closed the connection"
                                           : "the guest closed the connection in the middle of a frame, after " +
                                                 std::to_string(pending) + " of its bytes"));
  }
  reader_.append(std::span(buffer).first(*count));
  while (true) {
    auto frame = reader_.next();
    if (!frame) return std::unexpected(make_error(Kind::Protocol, std::move(frame.error())));
    if (!*frame) return {};
    if (auto sorted = sort_in(std::move(**frame)); !sorted) return sorted;
  }
}

std::expected<void, ClientError> Client::sort_in(Frame frame) {
  if (frame.command == wire::Command::Event) return sort_in_event(std::move(frame));
  if (frame.command == wire::Command::Error && frame.id == wire::kNoRequest) {
    // About the connection as a whole: too many of them, or a frame of ours that it could not read.
    return std::unexpected(refusal(frame));
  }
  if (given_up_.erase(frame.id) != 0) return {};
  const auto found = outstanding_.find(frame.id);
  if (found == outstanding_.end() || found->second) {
    return std::unexpected(
        make_error(Kind::Protocol, "the guest replied to request " + std::to_string(frame.id) +
                                       (found == outstanding_.end() ? ", which was not made" : " twice")));
  }
  found->second = std::move(frame);
  return {};
}

std::expected<void, ClientError> Client::sort_in_event(Frame frame) {
  if (given_up_.contains(frame.id)) return {};
  const auto request = outstanding_.find(frame.id);
  if (request == outstanding_.end() || request->second) {
    return std::unexpected(
        make_error(Kind::Protocol, "the guest sent an event of request " + std::to_string(frame.id) +
                                       (request == outstanding_.end() ? ", which was not made" : " after its answer")));
  }
  const auto found = events_.find(frame.id);
  if (found == events_.end()) return {};
  if (found->second.kept.size() >= kMaxKeptEvents) {
    ++found->second.dropped;
  } else {
    found->second.kept.push_back(std::move(frame.body));
  }
  return {};
}

std::uint32_t Client::unused_id() {
  while (next_id_ == wire::kNoRequest || outstanding_.contains(next_id_) || given_up_.contains(next_id_)) ++next_id_;
  return next_id_++;
}

std::unexpected<ClientError> Client::broken(ClientError error) {
  if (!broken_) broken_ = error;
  return std::unexpected(std::move(error));
}

}  // namespace vmm::control
