// Sessions of clients that behave, and what all sessions are made of.
#include <algorithm>
#include <array>

#include "session.hpp"

namespace load {

namespace wire = abi::control;
using std::chrono::milliseconds;
using vmm::control::Frame;

// ---- checks ----

namespace {

std::string told(const Frame& frame) { return frame.body.dump().substr(0, 300); }

}  // namespace

Check ok() { return result_has(json::object()); }

Check result_has(json expected) {
  return [expected = std::move(expected)](const Frame& frame) -> std::optional<std::string> {
    const auto result = frame.body.find("result");
    if (frame.command != wire::Command::Reply || frame.body.value("status", "") != "ok" || result == frame.body.end()) {
      return "expected a result, got " + told(frame);
    }
    for (const auto& [key, value] : expected.items()) {
      const auto found = result->find(key);
      if (found == result->end() || *found != value) return "'" + key + "' is not as expected: " + told(frame);
    }
    return std::nullopt;
  };
}

Check refused_with(std::string_view code, std::string_view field) {
  return [code = std::string(code), field = std::string(field)](const Frame& frame) -> std::optional<std::string> {
    const bool as_expected = frame.command == wire::Command::Error && frame.body.value("status", "") == "error" &&
                             frame.body.value("code", "") == code && frame.body.value("field", "") == field &&
                             !frame.body.value("message", "").empty();
    if (as_expected) return std::nullopt;
    return "expected the error " + code + (field.empty() ? "" : " [" + field + "]") + ", got " + told(frame);
  };
}

// ---- requests ----

std::size_t SessionMaker::between(std::size_t least, std::size_t most) {
  return std::uniform_int_distribution<std::size_t>(least, most)(random_);
}

std::uint32_t SessionMaker::next_id() {
  if (++last_id_ == wire::kNoRequest) ++last_id_;
  return last_id_;
}

Request SessionMaker::hello(const wire::Token& token, Check check) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&token);  // a token is plain bytes on the wire
  const std::uint32_t id = next_id();
  const json body{{"token", json::binary(Bytes(bytes, bytes + sizeof(token)))}};
  return {.kind = "hello",
          .id = id,
          .bytes = *vmm::control::encode_frame(wire::Command::Hello, id, body, wire::kMaxPayloadBytes),
          .check = std::move(check)};
}

Request SessionMaker::call(std::string_view kind, std::string_view op, json args, Check check) {
  const std::uint32_t id = next_id();
  json body{{"op", op}};
  if (!args.empty()) body["args"] = std::move(args);
  return {.kind = kind,
          .id = id,
          .bytes = *vmm::control::encode_frame(wire::Command::Call, id, body, wire::kMaxPayloadBytes),
          .check = std::move(check)};
}

Request SessionMaker::ping(std::string_view kind, std::size_t bytes) {
  json payload = std::string(bytes, static_cast<char>('a' + between(0, 25)));
  if (one_in(4)) {
    Bytes binary(bytes);
    std::ranges::generate(binary, [this] { return static_cast<std::uint8_t>(random_()); });
    payload = json::binary(std::move(binary));
  }
  return call(kind, "ping", {{"payload", payload}}, result_has({{"payload", payload}}));
}

Request SessionMaker::cancel(std::uint32_t id, Check check) {
  const std::uint32_t own = next_id();
  return {.kind = "cancel",
          .id = own,
          .bytes = *vmm::control::encode_frame(wire::Command::Cancel, own, {{"id", id}}, wire::kMaxPayloadBytes),
          .check = std::move(check)};
}

void add_one_by_one(Session& session, std::vector<Request> requests) {
  for (Request& request : requests) {
    session.moves.emplace_back().requests.push_back(std::move(request));
  }
}

Session SessionMaker::open(wire::Rights rights) {
  last_id_ = static_cast<std::uint32_t>(random_());
  Session session;
  // A Hello's answer has no "result": its keys are those of the body itself.
  const auto accepted = [rights](const Frame& frame) -> std::optional<std::string> {
    const bool as_expected = frame.command == wire::Command::Reply && frame.body.value("status", "") == "ok" &&
                             frame.body.value("rights", 99U) == static_cast<unsigned>(rights) &&
                             frame.body.value("protocol", 0U) == wire::kVersion1;
    return as_expected ? std::nullopt : std::optional("Hello: " + told(frame));
  };
  session.moves.emplace_back().requests.push_back(
      hello(vmm::control::make_token(key_, number_ + 1, rights, 0), accepted));
  return session;
}

// ---- sessions ----

Session SessionMaker::pings() {
  struct Size {
    std::string_view kind;
    std::size_t bytes;
    unsigned one_in;
  };
  static constexpr auto kSizes = std::to_array<Size>({{.kind = "ping 32768 bytes", .bytes = 32768, .one_in = 200},
                                                      {.kind = "ping 4096 bytes", .bytes = 4096, .one_in = 20},
                                                      {.kind = "ping 1000 bytes", .bytes = 1000, .one_in = 4},
                                                      {.kind = "ping 64 bytes", .bytes = 64, .one_in = 2},
                                                      {.kind = "ping 0 bytes", .bytes = 0, .one_in = 1}});
  Session session = open();
  std::vector<Request> requests;
  for (std::size_t left = between(10, 100); left > 0; --left) {
    const auto* const size = std::ranges::find_if(kSizes, [this](const Size& each) { return one_in(each.one_in); });
    requests.push_back(ping(size->kind, size->bytes));
  }
  add_one_by_one(session, std::move(requests));
  return session;
}

Session SessionMaker::pipelined_pings() {
  Session session = open();
  for (std::size_t left = between(1, 4); left > 0; --left) {
    Move& move = session.moves.emplace_back();
    for (std::size_t count = between(2, 200); count > 0; --count) {
      move.requests.push_back(ping("ping, one of many", between(0, 200)));
    }
  }
  return session;
}

Session SessionMaker::observations() {
  static constexpr auto kOps =
      std::to_array<std::string_view>({"info", "info", "counters", "version", "uptime", "mem", "cpus", "irq", "ps",
                                       "sched", "graph list", "graph kinds", "help", "history", "pmu"});
  Session session = open(wire::Rights::Observe);
  std::vector<Request> requests;
  for (std::size_t left = between(5, 40); left > 0; --left) {
    const std::string_view op = kOps[between(0, kOps.size() - 1)];
    requests.push_back(call(op, op, json::object(), ok()));
  }
  requests.push_back(call("help", "help", {{"command", "graph add-operator"}}, ok()));
  requests.push_back(call("echo", "echo", {{"text", "a  b"}}, result_has({{"text", "a  b"}})));
  add_one_by_one(session, std::move(requests));
  return session;
}

/// Makes a graph, runs it, looks at it, removes it; what is refused in between changes nothing.
Session SessionMaker::graph_life() {
  const std::string name = "load." + std::to_string(number_) + "." + std::to_string(graphs_++ % 1000);
  const json graph{{"graph", name}};
  const auto with = [&](json more) {
    more["graph"] = name;
    return more;
  };
  const std::size_t steps = between(1, 20);
  const json size{{"graph", name}, {"channels", 1}, {"operators", 2}};
  Session session = open();
  std::vector<Request> requests;
  const auto add = [&](std::string_view op, json args, Check check) {
    requests.push_back(call(op, op, std::move(args), std::move(check)));
  };
  add("graph create", with({{"memory", 65536}, {"tensors", 16}}), result_has({{"operators", 0}}));
  add("graph create", graph, refused_with("graph-duplicate-name"));
  add("graph add-channel", with({{"id", 1}, {"capacity", between(1, 8)}}), result_has({{"channels", 1}}));
  add("graph add-channel", with({{"id", 1}, {"capacity", 1}}), refused_with("graph-duplicate-id"));
  add("graph start", graph, refused_with("graph-incomplete"));
  add("graph add-operator", with({{"id", 1}, {"name", "in"}, {"kind", "synthetic-source"}, {"outputs", "1"}}),
      result_has({{"operators", 1}}));
  add("graph add-operator", with({{"id", 2}, {"name", "end"}, {"kind", "sink"}, {"inputs", "7"}}),
      refused_with("graph-unknown-channel"));
  add("graph add-operator", with({{"id", 2}, {"name", "end"}, {"kind", "sink"}, {"inputs", "1"}}), result_has(size));
  add("graph start", with({{"steps", steps}}), result_has({{"state", "running"}, {"runs", 1}}));
  add("graph wait", graph, result_has({{"state", "idle"}, {"end", "finished"}}));
  add("graph show", graph, result_has({{"name", name}, {"end", "finished"}}));
  add("graph stats", graph, result_has({{"graph_stats_ops", 2}, {"schema_mismatch_count", 0}}));
  add("graph export", graph, ok());
  add("graph destroy", graph, ok());
  add("graph show", graph, refused_with("graph-unknown", "graph"));
  add_one_by_one(session, std::move(requests));
  return session;
}

/// Sleeps that end by themselves, that are cancelled, and one too many.
Session SessionMaker::sleeps() {
  constexpr std::size_t kMostAtATime = 32;
  Session session = open();
  Move& brief = session.moves.emplace_back();
  for (std::size_t left = between(1, 8); left > 0; --left) {
    brief.requests.push_back(call("sleep 1 to 5 ms", "sleep", {{"ms", between(1, 5)}}, ok()));
  }
  Move& cancelled = session.moves.emplace_back();
  const std::size_t count = one_in(4) ? kMostAtATime : between(1, 8);
  std::vector<std::uint32_t> ids;
  for (std::size_t left = count; left > 0; --left) {
    cancelled.requests.push_back(call("sleep, cancelled", "sleep", {{"ms", 3600000}}, refused_with("cancelled")));
    ids.push_back(cancelled.requests.back().id);
  }
  if (count == kMostAtATime) {
    cancelled.requests.push_back(call("one call too many", "sleep", {{"ms", 1}}, refused_with("busy")));
  }
  std::ranges::shuffle(ids, random_);
  for (const std::uint32_t id : ids) {
    cancelled.requests.push_back(cancel(id, ok()));
  }
  cancelled.requests.push_back(cancel(ids.front(), refused_with("not-found", "id")));
  return session;
}

/// Subscriptions to the kernel's trace, which is on: some end by their count, the others are cancelled.
Session SessionMaker::watches() {
  Session session = open();
  Move& move = session.moves.emplace_back();
  for (std::size_t left = between(1, 4); left > 0; --left) {
    const std::size_t count = between(1, 200);
    move.requests.push_back(call("watch that ends by its count", "watch trace", {{"count", count}, {"interval_ms", 10}},
                                 result_has({{"end", "count"}})));
    move.requests.back().watches = true;
  }
  move.requests.push_back(call("watch, cancelled", "watch trace", {{"interval_ms", 10}}, refused_with("cancelled")));
  move.requests.back().watches = true;
  const std::uint32_t endless = move.requests.back().id;
  for (std::size_t left = between(1, 30); left > 0; --left) {
    move.requests.push_back(ping("ping, one of many", between(0, 200)));
  }
  move.requests.push_back(cancel(endless, ok()));
  return session;
}

Session SessionMaker::shell_lines() {
  Session session = open();
  std::vector<Request> requests;
  const auto add = [&](std::string_view kind, std::string_view line, Check check) {
    requests.push_back(call(kind, "shell", {{"line", line}}, std::move(check)));
  };
  for (std::size_t left = between(1, 10); left > 0; --left) {
    add("shell line", "echo 'a  b' \"c;d\"; version; uptime", result_has({{"status", 0}}));
    add("shell line", "echo one; echo two", result_has({{"output", "one\ntwo\n"}, {"status", 0}}));
    add("shell line that sleeps", "sleep 1; echo done", result_has({{"output", "done\n"}, {"status", 0}}));
    add("shell line", "nonsense", result_has({{"status", 1}}));
    add("shell line", "echo 'open", refused_with("bad-argument", "line"));
  }
  add_one_by_one(session, std::move(requests));
  return session;
}

/// Asks for more than the guest keeps for who does not read, and reads late.
Session SessionMaker::slow_reader() {
  Session session = open();
  Move& move = session.moves.emplace_back();
  move.unread = milliseconds(between(10, 100));
  for (std::size_t left = between(20, 100); left > 0; --left) {
    move.requests.push_back(ping("ping, read late", 5000));
  }
  return session;
}

/// What has been sent is answered to who has ended his side.
Session SessionMaker::ends_early() {
  Session session = open();
  session.end_with_last = true;
  Move& move = session.moves.emplace_back();
  for (std::size_t left = between(1, 50); left > 0; --left) {
    move.requests.push_back(one_in(5) ? call("sleep 1 to 5 ms", "sleep", {{"ms", between(1, 5)}}, ok())
                                      : ping("ping, one of many", between(0, 200)));
  }
  // 32 sleeps at most wait at a time: of 50 requests so many are not expected, but are possible.
  std::size_t sleeping = 0;
  std::erase_if(move.requests,
                [&](const Request& request) { return request.kind == "sleep 1 to 5 ms" && ++sleeping > 30; });
  return session;
}

Session SessionMaker::make() {
  struct Choice {
    Session (SessionMaker::*session)();
    unsigned weight;
  };
  static constexpr auto kChoices = std::to_array<Choice>({{&SessionMaker::pings, 9},
                                                          {&SessionMaker::pipelined_pings, 4},
                                                          {&SessionMaker::observations, 8},
                                                          {&SessionMaker::graph_life, 40},
                                                          {&SessionMaker::sleeps, 6},
                                                          {&SessionMaker::watches, 3},
                                                          {&SessionMaker::shell_lines, 6},
                                                          {&SessionMaker::slow_reader, 1},
                                                          {&SessionMaker::ends_early, 3},
                                                          {&SessionMaker::without_rights, 4},
                                                          {&SessionMaker::mistakes, 6},
                                                          {&SessionMaker::broken_frames, 4},
                                                          {&SessionMaker::fatal_frame, 4},
                                                          {&SessionMaker::stranger, 3},
                                                          {&SessionMaker::vanishing, 6}});
  unsigned total = 0;
  for (const Choice& choice : kChoices) total += choice.weight;
  std::size_t drawn = between(1, total);
  const auto* chosen = kChoices.begin();
  for (; drawn > chosen->weight; ++chosen) drawn -= chosen->weight;
  if (chosen->session == &SessionMaker::graph_life && number_ >= kGraphMakers) return pings();
  return (this->*chosen->session)();
}

}  // namespace load
