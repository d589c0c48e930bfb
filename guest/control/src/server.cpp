#include "guest/control/server.hpp"

#include <new>

#include "connection.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::control {

void ServerCounters::register_all(kernel::CounterRegistry& registry) {
  for (kernel::Counter* counter : {&connections, &connections_open, &connections_refused, &requests, &replies_ok,
                                   &replies_error, &unanswered, &tokens_refused, &bad_frames}) {
    kernel::require(registry.add(*counter), "a counter of the control server is registered twice");
  }
}

Server::Server(Services& services, std::optional<security::Key> key)
    : services_(services),
      key_(key),
      reply_(new std::array<std::byte, abi::control::kMaxPayloadBytes + 8>),
      power_item_([](void* self) { static_cast<Server*>(self)->services_.carry_out_power_request(); }, this),
      power_timer_(power_item_) {
  counters_.register_all(services.counters);
}

Server::~Server() = default;

kernel::StreamHandler* Server::on_connect(kernel::Stream& stream, std::uint32_t) {
  counters_.connections.add();
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i] != nullptr) {
      continue;
    }
    connections_[i].reset(new (std::nothrow) Connection(*this, stream));
    if (connections_[i] == nullptr) {
      break;
    }
    counters_.connections_open.add();
    // The last slot tells the peer that there is no room, and is free again when it has heard.
    if (i + 1 == connections_.size()) {
      counters_.connections_refused.add();
      connections_[i]->turn_away();
    }
    return connections_[i].get();
  }
  counters_.connections_refused.add();
  return nullptr;
}

void Server::forget(Connection& connection) {
  for (auto& slot : connections_) {
    if (slot.get() == &connection) {
      counters_.connections_open.subtract();
      slot.reset();
      return;
    }
  }
  kernel::panic("the control server does not know a connection that closed");
}

std::uint64_t Server::unix_now_ns() const {
  return services_.unix_time_at_boot_ns == 0 ? 0 : services_.unix_time_at_boot_ns + services_.clock.now_ns();
}

void Server::schedule_power() { services_.timers.arm(power_timer_, services_.clock.now_ns() + kPowerDelayNs); }

}  // namespace guest::control
