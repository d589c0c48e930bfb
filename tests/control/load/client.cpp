#include "client.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "vmm/base/unix_socket.hpp"

namespace load {

namespace wire = abi::control;
using vmm::Interest;

namespace {

/// Longest answer to CONNECT that is waited for.
constexpr std::size_t kMaxLine = 256;
/// Before another try when the monitor's backlog is full.
constexpr std::chrono::milliseconds kBacklogPause{5};

}  // namespace

Client::Client(vmm::EventLoop& loop, const Setting& setting, Figures& figures, unsigned number, std::uint64_t seed)
    : loop_(loop), setting_(setting), figures_(figures), number_(number), maker_(setting.key, number, seed) {}

Client::~Client() { close(); }

// ---- life ----

void Client::begin() {
  last_progress_ = Clock::now();
  if (figures_.failed() || figures_.answered() >= setting_.requests) {
    phase_ = Phase::Idle;
    return;
  }
  phase_ = Phase::Connecting;
  auto fd = vmm::connect_unix(setting_.socket_path, vmm::Blocking::No);
  if (!fd && fd.error() == EAGAIN) {
    timer_ = loop_.add_timer(kBacklogPause, [this] { begin(); });
    return;
  }
  if (!fd) return fail("cannot connect: " + std::string(std::strerror(fd.error())));
  fd_ = std::move(*fd);
  session_ = maker_.make();
  move_ = 0;
  line_.clear();
  reader_ = {};
  reading_ = true;
  end_when_sent_ = false;
  ++figures_.sessions;
  loop_.add(fd_.get(), Interest::Read, [this](vmm::Events events) { on_events(events); });
  const std::string line = "CONNECT " + std::to_string(wire::kPort) + "\n";
  output_.assign(line.begin(), line.end());
  flush();
}

void Client::close() {
  loop_.cancel_timer(timer_);
  if (fd_.valid()) loop_.remove(fd_.get());
  fd_.reset();
  waiting_.clear();
  output_.clear();
}

void Client::fail(const std::string& what) {
  figures_.fail("client " + std::to_string(number_) + ": " + what);
  close();
  phase_ = Phase::Idle;
}

void Client::check_progress(Clock::duration limit) {
  if (done() || Clock::now() - last_progress_ < limit) return;
  std::string what = "nothing has happened for too long; unanswered:";
  for (const auto& [id, waiting] : waiting_) {
    what += " " + std::to_string(id) + " (" + std::string(waiting.request.kind) + ")";
  }
  fail(what.substr(0, 500));
}

// ---- bytes ----

void Client::update_interest() {
  const auto read = static_cast<unsigned>(reading_ ? Interest::Read : Interest::None);
  const auto write = static_cast<unsigned>(output_.empty() ? Interest::None : Interest::Write);
  loop_.modify(fd_.get(), static_cast<Interest>(read | write));
}

void Client::flush() {
  std::size_t written = 0;
  while (written < output_.size()) {
    const ssize_t count = ::send(fd_.get(), output_.data() + written, output_.size() - written, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    // The guest has ended the stream, which may be right: reading tells.
    written = count < 0 ? output_.size() : written + static_cast<std::size_t>(count);
  }
  output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(written));
  if (output_.empty() && end_when_sent_) {
    ::shutdown(fd_.get(), SHUT_WR);
    end_when_sent_ = false;
  }
  update_interest();
}

void Client::on_events(vmm::Events events) {
  if (events.writable) flush();
  if (reading_ && (events.readable || events.hangup || events.error)) read();
}

void Client::read() {
  std::array<std::uint8_t, 65536> buffer;
  const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (count > 0) return on_bytes(std::span(buffer).first(static_cast<std::size_t>(count)));
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  on_end();
}

void Client::on_bytes(std::span<const std::uint8_t> bytes) {
  last_progress_ = Clock::now();
  if (phase_ == Phase::Connecting) {
    const auto end = std::ranges::find(bytes, '\n');
    line_.append(bytes.begin(), end);
    if (end == bytes.end() && line_.size() < kMaxLine) return;
    if (!line_.starts_with("OK ")) return fail("the answer to CONNECT is '" + line_ + "'");
    bytes = bytes.subspan(static_cast<std::size_t>(end - bytes.begin()) + 1);
    phase_ = Phase::Moving;
    next_move();
  }
  reader_.append(bytes);
  while (fd_.valid()) {
    const auto frame = reader_.next();
    if (!frame) return fail("the guest broke the protocol: " + frame.error());
    if (!*frame) return;
    on_frame(**frame);
  }
}

void Client::on_end() {
  if (phase_ == Phase::Connecting) return fail("the connection was refused");
  if (!waiting_.empty() || move_ < session_.moves.size()) {
    return fail("the guest ended the stream with " + std::to_string(waiting_.size()) +
                " requests unanswered, the first '" +
                (waiting_.empty() ? std::string() : std::string(waiting_.begin()->second.request.kind)) + "'");
  }
  if (reader_.pending_bytes() > 0) return fail("the guest ended the stream within a frame");
  close();
  begin();
}

// ---- requests and answers ----

void Client::on_frame(const vmm::control::Frame& frame) {
  const auto [first, last] = waiting_.equal_range(frame.id);
  if (first == last) {
    return fail("an answer to request " + std::to_string(frame.id) +
                ", which waits for none: " + frame.body.dump().substr(0, 200));
  }
  // Those that share id 0 are answered in their order, which a multimap keeps.
  const Waiting& waiting = first->second;
  if (frame.command == wire::Command::Event && waiting.request.watches) {
    ++figures_.events;
    return;
  }
  if (const auto wrong = waiting.request.check(frame)) {
    return fail(std::string(waiting.request.kind) + ", request " + std::to_string(frame.id) + ": " + *wrong);
  }
  const auto taken = Clock::now() - waiting.sent;
  figures_.answered(waiting.request.kind, std::chrono::nanoseconds(taken).count());
  waiting_.erase(first);
  if (waiting_.empty()) next_move();
}

/// Sends the next requests, or ends the session when all are answered.
void Client::next_move() {
  if (move_ == session_.moves.size()) {
    phase_ = Phase::Ending;
    if (session_.end == End::HalfClose && !session_.end_with_last) end_sending();
    return;
  }
  Move& move = session_.moves[move_++];
  const bool last = move_ == session_.moves.size();
  if (last && session_.end == End::Abandon) return abandon(move);
  const auto now = Clock::now();
  for (Request& request : move.requests) {
    output_.insert(output_.end(), request.bytes.begin(), request.bytes.end());
    request.bytes = {};
    const std::uint32_t id = request.id;
    waiting_.emplace(id, Waiting{.request = std::move(request), .sent = now});
  }
  if (move.unread.count() > 0) {
    reading_ = false;
    timer_ = loop_.add_timer(move.unread, [this] {
      reading_ = true;
      update_interest();
    });
  }
  if (last && session_.end_with_last) {
    end_sending();
  } else {
    flush();
  }
}

void Client::end_sending() {
  end_when_sent_ = true;
  flush();
}

/// Sends a part of the move and is gone.
void Client::abandon(const Move& move) {
  for (const Request& request : move.requests) {
    output_.insert(output_.end(), request.bytes.begin(), request.bytes.end());
  }
  figures_.abandoned += move.requests.size();
  output_.resize(std::uniform_int_distribution<std::size_t>(1, output_.size())(maker_.random()));
  flush();
  close();
  begin();
}

}  // namespace load
