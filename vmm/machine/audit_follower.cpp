#include "vmm/machine/audit_follower.hpp"

#include <cstring>
#include <utility>

namespace vmm::machine {
namespace {

using std::chrono::milliseconds;
using Kind = control::ClientError::Kind;

/// Between two attempts: the guest may be starting again.
constexpr milliseconds kRetry{100};
/// Longest wait for the answer to a request.
constexpr milliseconds kAnswer{10'000};
/// Longest wait for a record, after which it is waited for again.
constexpr std::chrono::hours kQuiet{1};

bool same(const abi::control::Token& a, const abi::control::Token& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

}  // namespace

AuditFollower::AuditFollower(std::filesystem::path socket, const abi::control::Token& token,
                             milliseconds connect_timeout, bool restored, AuditFollowerEvents events,
                             sandbox::Sandbox sandbox)
    : socket_(std::move(socket)),
      connect_timeout_(connect_timeout),
      events_(std::move(events)),
      lines_(restored),
      token_(token),
      thread_([this, sandbox] {
        sandbox.enter(sandbox::ThreadKind::Control);
        run();
      }) {}

AuditFollower::~AuditFollower() { finish(); }

void AuditFollower::finish() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void AuditFollower::set_token(const abi::control::Token& token) {
  {
    const std::lock_guard lock(mutex_);
    token_ = token;
  }
  changed_.notify_all();
}

std::optional<abi::control::Token> AuditFollower::next_token(const abi::control::Token* refused) {
  std::unique_lock lock(mutex_);
  if (refused != nullptr) {
    changed_.wait(lock, [&] { return ending_ || !same(token_, *refused); });
  } else {
    changed_.wait_for(lock, kRetry, [&] { return ending_; });
  }
  if (ending_) return std::nullopt;
  return token_;
}

void AuditFollower::run() {
  std::optional<abi::control::Token> token;
  {
    const std::lock_guard lock(mutex_);
    token = token_;
  }
  while (token && follow(*token)) token = next_token(nullptr);
}

bool AuditFollower::give_up(const std::string& why) {
  given_up_ = true;
  events_.on_given_up(why);
  return false;
}

bool AuditFollower::follow(const abi::control::Token& token) {
  auto client = control::Client::connect(socket_.string(), token, Clock::now() + connect_timeout_);
  if (!client && client.error().kind == Kind::Refused && client.error().code.starts_with("token-")) {
    events_.on_refused();
    return next_token(&token).has_value();
  }
  // The guest may be about to end, or to start again.
  if (!client) return true;
  const auto id = client->subscribe("watch audit", {{"from", lines_.next()}}, Clock::now() + kAnswer);
  while (id) {
    const auto next = client->next(*id, Clock::now() + kQuiet);
    if (next && next->is_event) {
      if (!take(next->body)) return !given_up_;
    } else if (next || next.error().kind != Kind::Timeout) {
      return next ? give_up("the guest has ended the call that sends its audit log") : on_error(next.error());
    }
  }
  return true;
}

/// False: this connection is of no more use.
bool AuditFollower::take(const nlohmann::json& event) {
  std::string out;
  const auto taken = lines_.take(event, out);
  if (taken == AuditLines::Taken::Malformed) return give_up("what the guest sends as its audit log is none");
  if (taken == AuditLines::Taken::NotOurs) {
    if (lines_.next() == 1) return give_up("the guest's audit log does not begin with its first record");
    lines_.restart(out);
  }
  events_.on_lines(std::move(out));
  return taken == AuditLines::Taken::All;
}

/// Whether to connect again.
bool AuditFollower::on_error(const control::ClientError& error) {
  if (error.kind != Kind::Refused) return true;
  // Its token is no longer good; whether there is another one shows at the next Hello.
  if (error.code == abi::control::error::kCancelled || error.code.starts_with("token-")) return true;
  // It has no such record: it has started again.
  if (error.field != "from" || lines_.next() == 1) {
    return give_up("the guest refuses to send its audit log: " + error.code + ": " + error.message);
  }
  std::string out;
  lines_.restart(out);
  events_.on_lines(std::move(out));
  return true;
}

}  // namespace vmm::machine
