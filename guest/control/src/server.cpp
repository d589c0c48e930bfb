#include "guest/control/server.hpp"

#include <algorithm>
#include <new>

#include "abi/boot_config.hpp"
#include "connection.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::control {

static_assert(security::AuditLog::kStillToCome == abi::boot_config::kMaxRequests + kMaxConnections);

void ServerCounters::register_all(kernel::CounterRegistry& registry) {
  const auto add = [&](kernel::Counter& counter) {
    kernel::require(registry.add(counter), "a counter of the control server is registered twice");
  };
  for (kernel::Counter* counter :
       {&connections, &connections_open, &connections_refused, &requests, &replies_ok, &replies_error, &notices,
        &events, &unanswered, &tokens_accepted, &tokens_refused, &bad_frames, &timeouts}) {
    add(*counter);
  }
  for (kernel::Counter& counter : errors) {
    add(counter);
  }
}

namespace {

/// Codes of requests to models, and of what they stand on (docs/llm.md).
constexpr std::string_view kLlmPrefixes[] = {"llm-", "sampler-", "tokenizer-", "ml-", "npu-"};

}  // namespace

void ServerCounters::count_error(std::string_view code) {
  constexpr std::string_view kGraph = abi::control::error::kGraphPrefix;
  constexpr std::string_view kPackage = abi::control::error::kPackagePrefix;
  if (code.starts_with(kGraph)) {
    code = kGraph.substr(0, kGraph.size() - 1);
  } else if (code.starts_with(kPackage) || code.starts_with(abi::control::error::kModelPrefix)) {
    code = kPackage.substr(0, kPackage.size() - 1);
  } else if (std::ranges::any_of(kLlmPrefixes, [code](std::string_view prefix) { return code.starts_with(prefix); })) {
    code = "llm";
  }
  const auto is_code = [code](const kernel::Counter& counter) {
    constexpr std::string_view kPrefix = "control_error_";
    const std::string_view name = counter.name().substr(kPrefix.size());
    return std::equal(name.begin(), name.end(), code.begin(), code.end(),
                      [](char a, char b) { return a == (b == '-' ? '_' : b); });
  };
  const auto found = std::find_if(errors.begin(), errors.end(), is_code);
  kernel::require(found != errors.end(), "an error code without a counter");
  found->add();
}

Server::Server(Services& services, kernel::WorkQueue& work)
    : services_(services),
      work_(work),
      reply_(new std::array<std::byte, abi::control::kMaxPayloadBytes + 8>),
      turn_item_([](void* self) { static_cast<Server*>(self)->give_turns(); }, this),
      turn_timer_(turn_item_),
      power_item_([](void* self) { static_cast<Server*>(self)->carry_out_power_request(); }, this),
      power_timer_(power_item_),
      sweep_item_([](void* self) { static_cast<Server*>(self)->sweep(); }, this),
      sweep_timer_(sweep_item_),
      grants_item_([](void* self) { static_cast<Server*>(self)->check_grants(); }, this),
      expiry_timer_(grants_item_) {
  counters_.register_all(services.counters);
  services.authority.set_watcher(this);
  services.control_server = this;
}

Server::~Server() {
  services_.authority.set_watcher(nullptr);
  services_.control_server = nullptr;
}

kernel::StreamHandler* Server::on_connect(kernel::Stream& stream, std::uint32_t) {
  return open(stream, Origin::ControlPort);
}

kernel::StreamHandler* Server::open(kernel::Stream& stream, Origin origin) {
  counters_.connections.add();
  const auto slot = std::find(connections_.begin(), connections_.end(), nullptr);
  if (slot != connections_.end()) {
    slot->reset(new (std::nothrow) Connection(*this, stream, origin, ++last_connection_));
  }
  if (slot == connections_.end() || *slot == nullptr) {
    counters_.connections_refused.add();
    return nullptr;
  }
  counters_.connections_open.add();
  legacy_open_ += origin == Origin::LegacySocket ? 1 : 0;
  sweep();  // time limits may hold from now on
  // The last slot tells the peer that there is no room, and is free again when it has heard.
  const bool no_room = slot + 1 == connections_.end();
  if (no_room || (origin == Origin::LegacySocket && legacy_open_ > kMaxLegacyConnections)) {
    counters_.connections_refused.add();
    (*slot)->turn_away();
  }
  return slot->get();
}

void Server::forget(Connection& connection) {
  const auto slot = std::find_if(connections_.begin(), connections_.end(),
                                 [&](const auto& candidate) { return candidate.get() == &connection; });
  kernel::require(slot != connections_.end(), "the control server does not know a connection that closed");
  counters_.connections_open.subtract();
  legacy_open_ -= connection.origin() == Origin::LegacySocket ? 1 : 0;
  const std::uint32_t number = connection.number();
  slot->reset();
  if (services_.llm != nullptr) {
    services_.llm->close_connection(number);
  }
}

void Server::schedule_power() {
  services_.power_request.scheduled = true;
  services_.timers.arm(power_timer_, services_.clock.now_ns() + kPowerDelayNs);
}

bool Server::owes_events() const {
  return std::ranges::any_of(connections_,
                             [](const auto& connection) { return connection != nullptr && connection->owes_events(); });
}

/// Tried again later, as long as there is something that should arrive before the machine goes; until then there are no
/// new requests.
void Server::carry_out_power_request() {
  const std::uint64_t now = services_.clock.now_ns();
  const bool behind = services_.audit.is_behind();  // which ends when nothing is taken any more
  if (power_by_ns_ == 0 || behind) {
    power_by_ns_ = now + kPowerPatienceNs;
  }
  if (behind || (now < power_by_ns_ && owes_events())) {
    services_.timers.arm(power_timer_, now + kHeldDelayNs);
    return;
  }
  power_by_ns_ = 0;
  services_.carry_out_power_request();
}

bool Server::is_held() const { return power_by_ns_ != 0 || services_.audit.is_crowded(); }

void Server::schedule_turn_later() {
  if (!turn_timer_.armed()) {
    services_.timers.arm(turn_timer_, services_.clock.now_ns() + kHeldDelayNs);
  }
}

/// In a circle: where there is room for the records of few requests only, the next ones are of others.
void Server::give_turns() {
  const std::size_t first = next_turn_;
  for (std::size_t i = 0; i < connections_.size() && !is_held(); ++i) {
    const std::size_t at = (first + i) % connections_.size();
    if (connections_[at] != nullptr && connections_[at]->wants_turn()) {
      next_turn_ = (at + 1) % connections_.size();
      connections_[at]->take_turn();
    }
  }
  if (is_held()) {
    schedule_turn_later();
  }
}

bool Server::scarce(Origin origin) const {
  return counters_.connections_open.value() > kScarceConnections ||
         (origin == Origin::LegacySocket && legacy_open_ > kScarceLegacyConnections);
}

void Server::watch(const Connection& connection) {
  const std::uint64_t deadline_ns = connection.deadline_ns();
  if (scarce(connection.origin()) && (!sweep_timer_.armed() || deadline_ns < sweep_at_ns_)) {
    sweep_at_ns_ = deadline_ns;
    services_.timers.arm(sweep_timer_, deadline_ns);
  }
}

void Server::watch_expiry(std::uint64_t expires_unix_ns) {
  const std::uint64_t at_ns = expires_unix_ns - services_.unix_time_at_boot_ns;  // accepted: the time is known
  if (!expiry_timer_.armed() || at_ns < expiry_at_ns_) {
    expiry_at_ns_ = at_ns;
    services_.timers.arm(expiry_timer_, at_ns);
  }
}

/// Ends what was begun under grants that have ended. Each connection asks again at its next request; this is for calls
/// that wait.
void Server::check_grants() {
  for (const auto& connection : connections_) {
    if (connection != nullptr) {
      connection->enforce_grants();
    }
  }
}

void Server::sweep() {
  const std::uint64_t now = services_.clock.now_ns();
  for (const auto& connection : connections_) {
    if (connection == nullptr || connection->deadline_ns() == kernel::kNoDeadline || !scarce(connection->origin())) {
      continue;
    }
    if (connection->deadline_ns() <= now) {
      counters_.timeouts.add();
      connection->expire();  // may set another deadline, which it has watched itself
    } else {
      watch(*connection);
    }
  }
}

}  // namespace guest::control
