// A socket whose clients are connected to one port of the guest at once: no CONNECT line, no OK.
//
// A client that is refused reads one line, `<refusal><reason>\n`, and the end.
#pragma once

#include <cstdint>
#include <string>

#include "abi/control.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/devices/vsock/client_listener.hpp"
#include "vmm/devices/vsock/counters.hpp"
#include "vmm/devices/vsock/muxer.hpp"

namespace vmm::vsock {

struct DirectSocketConfig {
  int listener = -1;             ///< listens, non-blocking; taken over. -1: there is no such socket
  std::uint32_t guest_port = 0;  ///< clients of the hybrid socket cannot ask for it
  std::string refusal;           ///< what a refusal begins with, in the words of the port's protocol
};

/// Of a listener for clients of version 0 of the control protocol.
inline DirectSocketConfig for_legacy_clients(int listener) {
  return {.listener = listener,
          .guest_port = abi::control::kLegacyPort,
          .refusal = std::string("ERR ") + abi::control::error::kUnavailable + " "};
}

class DirectSocket {
 public:
  /// @param loop, muxer and counters outlive it
  DirectSocket(EventLoop& loop, const DirectSocketConfig& config, Muxer& muxer, Counters& counters);

 private:
  ClientListener listener_;
};

}  // namespace vmm::vsock
