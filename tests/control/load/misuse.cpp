// Sessions of clients that do not behave.
#include <algorithm>
#include <cstring>

#include "session.hpp"

namespace load {

namespace wire = abi::control;

namespace {

constexpr wire::FrameHeader kCallHeader{.magic = wire::kMagic,
                                        .version = wire::kVersion1,
                                        .command = static_cast<std::uint8_t>(wire::Command::Call),
                                        .flags = 0,
                                        .length = 0};

/// A structure of the wire with bytes behind it.
template <typename Head>
Bytes joined(const Head& head, const Bytes& rest) {
  Bytes bytes(sizeof(head) + rest.size());
  std::memcpy(bytes.data(), &head, sizeof(head));
  std::ranges::copy(rest, bytes.begin() + sizeof(head));
  return bytes;
}

/// A payload: a request id and bytes that should be CBOR.
Bytes payload(std::uint32_t id, const Bytes& body) { return joined(abi::Le32(id), body); }

wire::FrameHeader with_length(wire::FrameHeader header, std::size_t length) {
  header.length = static_cast<std::uint32_t>(length);
  return header;
}

}  // namespace

Request SessionMaker::raw(std::string_view kind, std::uint32_t answered_id, const wire::FrameHeader& header,
                          const Bytes& rest, Check check) {
  return {.kind = kind, .id = answered_id, .bytes = joined(header, rest), .check = std::move(check)};
}

Bytes SessionMaker::ping_payload() { return payload(next_id(), json::to_cbor({{"op", "ping"}})); }

/// Each command with a token that lacks its right, and one that needs none.
Session SessionMaker::without_rights() {
  const bool none = one_in(2);
  Session session = open(none ? wire::Rights::None : wire::Rights::Observe);
  constexpr std::string_view kKind = "without the right";
  std::vector<Request> requests;
  for (std::size_t left = between(1, 10); left > 0; --left) {
    requests.push_back(call(kKind, "shutdown", {{"code", 3}}, refused_with("forbidden")));
    requests.push_back(call(kKind, "graph create", {{"graph", "stolen"}}, refused_with("forbidden")));
    requests.push_back(call(kKind, "sleep", {{"ms", 1}}, refused_with("forbidden")));
    requests.push_back(call(kKind, "shell", {{"line", "panic null-read"}}, result_has({{"status", 1}})));
    requests.push_back(none ? call(kKind, "ping", json::object(), refused_with("forbidden"))
                            : ping("ping 64 bytes", 64));
    requests.push_back(call("echo", "echo", {{"text", "free"}}, result_has({{"text", "free"}})));
  }
  add_one_by_one(session, std::move(requests));
  return session;
}

Session SessionMaker::mistakes() {
  constexpr std::string_view kKind = "wrong arguments";
  Session session = open();
  std::vector<Request> requests;
  const auto add = [&](std::string_view op, const json& args, Check check) {
    requests.push_back(call(kKind, op, args, std::move(check)));
  };
  for (std::size_t left = between(1, 10); left > 0; --left) {
    requests.push_back(call("unknown op", "no-such-op", json::object(), refused_with("unknown-op", "op")));
    add("ping", {{"paylod", "x"}}, refused_with("unknown-argument", "paylod"));
    add("ping", {{"payload", std::string(32769, 'x')}}, refused_with("bad-argument", "payload"));
    add("sleep", json::object(), refused_with("missing-argument", "ms"));
    add("sleep", {{"ms", -1}}, refused_with("bad-argument", "ms"));
    add("sleep", {{"ms", 3600001}}, refused_with("bad-argument", "ms"));
    add("det", {{"action", "perhaps"}}, refused_with("bad-argument", "action"));
    add("shutdown", {{"code", 256}}, refused_with("bad-argument", "code"));
    add("help", {{"command", "nothing"}}, refused_with("not-found", "command"));
    add("graph show", {{"graph", "nobody's"}}, refused_with("graph-unknown", "graph"));
    add("graph create", {{"graph", "a b"}}, refused_with("graph-bad-name"));
    add("graph create", {{"graph", "small"}, {"memory", 4096}, {"tensors", 65535}}, refused_with("graph-bad-memory"));
    add("sched", {{"server", "nobody's"}}, refused_with("not-found", "server"));
  }
  add_one_by_one(session, std::move(requests));
  return session;
}

/// Frames that are wrong and can be passed over.
Session SessionMaker::broken_frames() {
  constexpr std::string_view kKind = "broken frame";
  Session session = open();
  Move& move = session.moves.emplace_back();
  const auto add = [&](wire::FrameHeader header, const Bytes& rest, std::string_view code, bool has_id = true) {
    move.requests.push_back(
        raw(kKind, has_id ? last_id_ : wire::kNoRequest, with_length(header, rest.size()), rest, refused_with(code)));
  };
  for (std::size_t left = between(1, 5); left > 0; --left) {
    wire::FrameHeader flagged = kCallHeader;
    flagged.flags = 1;
    add(flagged, ping_payload(), "malformed-frame");
    wire::FrameHeader unknown = kCallHeader;
    unknown.command = 0x55;
    add(unknown, ping_payload(), "unknown-command");
    add(kCallHeader, payload(next_id(), {0xff}), "malformed-cbor");
    add(kCallHeader, payload(next_id(), {0x01}), "malformed-cbor");
    add(kCallHeader, payload(next_id(), {}), "malformed-cbor");
    add(kCallHeader, {1, 2, 3}, "malformed-frame", false);
    add(kCallHeader, {}, "malformed-frame", false);
    move.requests.push_back(ping("ping, one of many", 10));
  }
  return session;
}

/// Frames behind which nothing can be found any more.
Session SessionMaker::fatal_frame() {
  constexpr std::string_view kKind = "fatal frame";
  Session session = open();
  session.end = End::ByGuest;
  wire::FrameHeader header = kCallHeader;
  std::string_view code;
  switch (between(0, 2)) {
    case 0:
      header.magic = 'X';
      code = "malformed-frame";
      break;
    case 1:
      header.version = 9;
      code = "unsupported-version";
      break;
    default:
      header.length = wire::kMaxPayloadBytes + 1;
      code = "too-large";
      break;
  }
  // One before it, whose answer must not be lost.
  Move& move = session.moves.emplace_back();
  move.requests.push_back(ping("ping, one of many", 10));
  move.requests.push_back(raw(kKind, wire::kNoRequest, header, {}, refused_with(code)));
  return session;
}

/// Asks without a token, or with a wrong one, until the guest has had enough.
Session SessionMaker::stranger() {
  constexpr unsigned kMostRefusals = 8;
  Session session;
  session.end = End::ByGuest;
  vmm::control::Key wrong = key_;
  wrong[between(0, wrong.size() - 1)] ^= 1;
  const wire::Token forged = vmm::control::make_token(wrong, 1, wire::Rights::All, 0);
  const wire::Token expired = vmm::control::make_token(key_, 1, wire::Rights::All, 1);
  std::vector<Request> requests;
  for (unsigned i = 0; i < kMostRefusals; ++i) {
    switch (between(0, 2)) {
      case 0:
        requests.push_back(call("without a token", "ping", json::object(), refused_with("unauthenticated")));
        break;
      case 1:
        requests.push_back(hello(forged, refused_with("token-invalid")));
        break;
      default:
        requests.push_back(hello(expired, refused_with("token-expired")));
        break;
    }
    requests.back().kind = "without a token";
  }
  add_one_by_one(session, std::move(requests));
  return session;
}

/// Goes away in the middle of something.
Session SessionMaker::vanishing() {
  Session session = open();
  session.end = End::Abandon;
  Move& move = session.moves.emplace_back();
  for (std::size_t left = between(1, 60); left > 0; --left) {
    move.requests.push_back(one_in(3) ? call("", "sleep", {{"ms", 60000}}, ok()) : ping("", 500));
  }
  return session;
}

}  // namespace load
