#include "audit_follower.hpp"

#include <chrono>
#include <utility>

namespace vmm::machine {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = control::ClientError::Kind;

/// Longest wait for the answer to a request.
constexpr std::chrono::milliseconds kAnswer{10'000};
/// Longest wait for a record, after which it is waited for again.
constexpr std::chrono::hours kQuiet{1};

}  // namespace

bool AuditFollower::give_up(const std::string& why) {
  given_up_ = true;
  events_.on_given_up(why);
  return false;
}

bool AuditFollower::follow(control::Client& client) {
  const auto id = client.subscribe("watch audit", {{"from", lines_.next()}, {"whole", true}}, Clock::now() + kAnswer);
  while (id) {
    const auto next = client.next(*id, Clock::now() + kQuiet);
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
