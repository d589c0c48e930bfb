// A client, and the guest's side of its connection.
#pragma once

#include <chrono>
#include <functional>
#include <utility>

#include "fake_guest.hpp"
#include "vmm/control/client.hpp"

namespace vmm::control::testing {

inline Deadline in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

inline abi::control::Token any_token() { return make_token(Key{}, 1, abi::control::Rights::All, 0); }

/// A client that has said Hello to a fake whose script goes on after that.
struct Connected {
  explicit Connected(std::function<void(FakeConnection&)> script)
      : guest([script = std::move(script)](FakeConnection& connection) {
          connection.accept_hello();
          script(connection);
        }),
        client(*Client::over(guest.client_end(), any_token(), in(std::chrono::seconds(10)))) {}
  FakeGuest guest;
  Client client;
};

}  // namespace vmm::control::testing
