#include "observe_collector.hpp"

#include <algorithm>
#include <utility>

#include "ask_pages.hpp"

namespace vmm::machine {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;
using Kind = control::ClientError::Kind;
using nlohmann::json;

/// Longest wait for the answer to a request.
constexpr milliseconds kAnswer{10'000};
/// How often it is looked whether the end has come.
constexpr milliseconds kTurn{20};
/// Between two readings of the guest's clock.
constexpr milliseconds kLook{1000};
/// Each so many readings the names are asked for: who dies without being asked leaves these.
constexpr unsigned kLooksForNames = 10;
/// Of guest time, between two of its looks at its trace. Each look is in the trace, too, and an idle guest's time may
/// go much faster than ours.
constexpr unsigned kTraceIntervalMs = 250;

std::uint64_t since(Clock::time_point start, Clock::time_point time) {
  return static_cast<std::uint64_t>(std::max<nanoseconds>(time - start, nanoseconds(0)).count());
}

std::optional<std::uint64_t> number_in(const json& reply, const char* key) {
  const auto found = reply.find(key);
  return found == reply.end() || !found->is_number_unsigned() ? std::nullopt
                                                              : std::optional(found->get<std::uint64_t>());
}

}  // namespace

void ObserveCollector::collect(control::Client& client) {
  ++observed_.connections;
  if (!begin(client)) return;
  while (true) {
    const auto wanted = wanted_by();
    if (wanted && !answered_) answered_ = ask_all(client, *wanted);
    if (wanted && !completed_ && (followed_to_end() || Clock::now() >= *wanted)) complete();
    const auto id = client.wait(completed_ ? Clock::now() + kLook : std::min(Clock::now() + kTurn, next_look_));
    if (id && !take_next(client, *id)) return;
    if (!id && id.error().kind != Kind::Timeout) return;
    if (!completed_ && Clock::now() >= next_look_ && !look_around(client)) return;
  }
}

void ObserveCollector::complete_by(Clock::time_point deadline) {
  const std::lock_guard lock(mutex_);
  wanted_by_ = deadline;
}

void ObserveCollector::complete() {
  completed_ = true;
  observed_.complete = answered_.value_or(false) && followed_to_end();
  observed_.trace_read = observed_.complete && !trace_.refused;
  options_.on_completed();
}

std::optional<Clock::time_point> ObserveCollector::wanted_by() {
  const std::lock_guard lock(mutex_);
  return wanted_by_;
}

/// False: the connection is of no more use.
bool ObserveCollector::begin(control::Client& client) {
  const auto deadline = Clock::now() + kAnswer;
  const unsigned resets = resets_;
  const std::uint64_t last = last_guest_ns_;
  const auto now = read_clock(client, deadline);
  if (!now) return false;
  if (resets != std::exchange(resets_seen_, resets) || *now < last) {
    begin_anew();
  } else if (observed_.connections > 1) {
    observed_.trace.records.resume();
  }
  const auto info = ask(client, "info", json::object(), deadline);
  if (!info) return false;
  if (const auto resolution = number_in(*info, "clock_resolution_ns")) observed_.metrics.resolution_ns = resolution;
  next_look_ = Clock::now() + kLook;
  if (answered_ == false) answered_.reset();  // the connection before may have been lost meanwhile
  if (options_.trace && !ask_names(client, deadline)) return false;
  history_ = {.id = {}, .refused = !options_.metrics};
  trace_ = {.id = {}, .refused = !options_.trace};
  // In this order: what is older is read first, and the history is less.
  return follow(client, history_, "watch history", {{"from_start", true}}) &&
         follow(client, trace_, "watch trace",
                {{"raw", true}, {"from_start", true}, {"interval_ms", kTraceIntervalMs}});
}

/// Of a guest that has started again only its last start is told, so that its time goes on in one piece.
void ObserveCollector::begin_anew() {
  ++observed_.restarts;
  observed_.metrics.history = observe::MetricHistory();
  observed_.trace.records = observe::TraceRecords();
  observed_.trace.names = observe::TraceNames();
  observed_.clock.clear();
  last_guest_ns_ = 0;
}

bool ObserveCollector::follow(control::Client& client, Stream& stream, const char* op, json args) {
  if (stream.refused) return true;
  const auto id = client.subscribe(op, args, Clock::now() + kAnswer);
  if (id) stream.id = *id;
  return id.has_value();
}

/// False: the connection is of no more use.
bool ObserveCollector::take_next(control::Client& client, std::uint32_t id) {
  const bool is_trace = trace_.id == id;
  Stream& stream = is_trace ? trace_ : history_;
  const auto next = client.next(id, Clock::now());
  if (stream.id != id) return true;  // the answer to what was asked once and given up
  if (!next) return next.error().kind == Kind::Timeout || on_stream_error(stream, next.error());
  if (next->is_event) {
    take_event(is_trace, *next);
  } else {
    stream.id.reset();  // frozen: there is no more
  }
  return true;
}

void ObserveCollector::take_event(bool is_trace, const control::Client::Next& next) {
  ++observed_.events;
  observed_.dropped += next.dropped;
  if (is_trace && next.dropped != 0) observed_.trace.records.miss();
  const bool taken = is_trace ? observed_.trace.records.take(next.body) : observed_.metrics.history.take(next.body);
  if (!taken) ++observed_.malformed;
}

/// Whether the connection is still of use.
bool ObserveCollector::on_stream_error(Stream& stream, const control::ClientError& error) {
  // Its token is no longer good; whether there is another one shows at the next Hello.
  const bool revoked = error.code == abi::control::error::kCancelled || error.code.starts_with("token-");
  if (error.kind != Kind::Refused || revoked) return false;
  options_.on_warning(std::string("the guest refuses to send its ") + (&stream == &trace_ ? "trace" : "metrics") +
                      ": " + error.code + ": " + error.message);
  stream = {.id = {}, .refused = true};
  return true;
}

/// As Client::call(), but what is followed is taken meanwhile: an answer may come behind thousands of events, of which
/// the client keeps few.
ObserveCollector::Answer ObserveCollector::ask(control::Client& client, const char* op, const json& args,
                                               Clock::time_point deadline) {
  const auto id = client.subscribe(op, args, deadline);
  if (!id) return std::unexpected(id.error());
  while (true) {
    const auto ready = client.wait(deadline);
    if (!ready) return std::unexpected(ready.error());
    if (*ready != *id) {
      if (take_next(client, *ready)) continue;
      return std::unexpected(control::ClientError{.kind = Kind::ConnectionLost, .message = "no token any more"});
    }
    auto next = client.next(*id, deadline);
    if (!next) return std::unexpected(std::move(next.error()));
    if (!next->is_event) return std::move(next->body);
  }
}

bool ObserveCollector::look_around(control::Client& client) {
  next_look_ = Clock::now() + kLook;
  const auto deadline = Clock::now() + kAnswer;
  const bool with_names = options_.trace && ++looks_ % kLooksForNames == 0;
  return read_clock(client, deadline).has_value() && (!with_names || ask_names(client, deadline));
}

std::optional<std::uint64_t> ObserveCollector::read_clock(control::Client& client, Clock::time_point deadline) {
  const auto before = Clock::now();
  const Answer answer = ask(client, "uptime", json::object(), deadline);
  const auto after = Clock::now();
  const auto now_ns = answer ? number_in(*answer, "uptime_ns") : std::nullopt;
  if (!now_ns) return std::nullopt;
  observed_.clock.add({.host_before_ns = since(options_.start, before),
                       .host_after_ns = since(options_.start, after),
                       .guest_ns = *now_ns});
  last_guest_ns_ = *now_ns;
  return now_ns;
}

bool ObserveCollector::ask_names(control::Client& client, Clock::time_point deadline) {
  const Answer names = ask(client, "trace names", json::object(), deadline);
  if (names) observed_.trace.names.take(*names);
  // A guest that refuses it leaves numbers.
  return names || names.error().kind == Kind::Refused;
}

/// True: the guest has answered everything. First it ends its recording, so that all is of that moment, and that there
/// is an end to what is followed: under icount an idle guest may record faster than can be read.
bool ObserveCollector::ask_all(control::Client& client, Clock::time_point deadline) {
  const bool frozen = ask(client, "trace", {{"action", "freeze"}}, deadline).has_value();
  observed_.metrics.final.clear();
  const auto asked = [&](const char* op, const json& args) { return ask(client, op, args, deadline); };
  const bool metrics = ask_pages(asked, "metrics", json::object(),
                                 [&](const json& part) { return observed_.metrics.take_metrics(part); });
  const bool histograms = ask_pages(asked, "histograms", {{"frozen", true}},
                                    [&](const json& part) { return observed_.metrics.take_histograms(part); });
  const bool names = !options_.trace || ask_names(client, deadline);
  const bool clock = read_clock(client, deadline).has_value();
  return frozen && metrics && histograms && names && clock;
}

}  // namespace vmm::machine
