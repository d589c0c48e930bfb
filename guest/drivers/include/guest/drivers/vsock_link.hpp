// What the vsock protocol needs of the device below it, and what is counted of both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/vsock.hpp"
#include "guest/kernel/counters.hpp"

namespace guest::drivers {

/// Takes packets for the host. The virtio driver implements it; a test's host does too.
class VsockLink {
 public:
  /// Largest payload that send() takes now; 0: not even a packet without one.
  [[nodiscard]] virtual std::size_t payload_room() = 0;
  /// Sends a packet; `payload` is copied. False: no room, nothing was sent.
  virtual bool send(const abi::vsock::PacketHeader& header, std::span<const std::byte> payload) = 0;
  /// VsockMux::service() is to be called soon, from the main loop and not from within this call.
  virtual void request_service() = 0;
  /// The host has taken everything that was sent.
  [[nodiscard]] virtual bool idle() = 0;

 protected:
  ~VsockLink() = default;
};

/// Everything that happens to packets and connections has a number here, so that none disappears unseen.
struct VsockCounters {
  kernel::Counter rx_packets{"vsock_rx_packets"};
  kernel::Counter tx_packets{"vsock_tx_packets"};
  kernel::Counter rx_bytes{"vsock_rx_bytes"};        ///< payload delivered to connections
  kernel::Counter tx_bytes{"vsock_tx_bytes"};        ///< payload
  kernel::Counter connections{"vsock_connections"};  ///< now: open, opening or closing
  kernel::Counter opened{"vsock_opened"};
  kernel::Counter closed{"vsock_closed"};  ///< in order
  kernel::Counter reset_by_peer{"vsock_reset_by_peer"};
  kernel::Counter reset_by_us{"vsock_reset_by_us"};
  kernel::Counter refused{"vsock_refused"};  ///< requests that were answered with RST, whichever side asked
  kernel::Counter evicted{"vsock_evicted"};  ///< closing connections that were given up for a new one
  kernel::Counter resets_sent{"vsock_resets_sent"};
  kernel::Counter credit_stalls{"vsock_credit_stalls"};  ///< writes that the peer's window cut short
  kernel::Counter tx_stalls{"vsock_tx_stalls"};          ///< writes that the full tx queue cut short
  kernel::Counter stale_credit{"vsock_stale_credit"};    ///< packets with a fwd_cnt that cannot be
  // Packets that did not do what their sender meant, by reason.
  kernel::Counter drop_short{"vsock_drop_short"};
  kernel::Counter drop_length{"vsock_drop_length"};
  kernel::Counter drop_cid{"vsock_drop_cid"};
  kernel::Counter drop_type{"vsock_drop_type"};
  kernel::Counter drop_op{"vsock_drop_op"};                      ///< unknown, or wrong in the connection's state
  kernel::Counter drop_unknown{"vsock_drop_unknown"};            ///< no such connection
  kernel::Counter drop_closing{"vsock_drop_closing"};            ///< data for a connection that this side has closed
  kernel::Counter credit_violations{"vsock_credit_violations"};  ///< data beyond the window
  kernel::Counter no_memory{"vsock_no_memory"};                  ///< data for which there was no buffer
  // The device.
  kernel::Counter interrupts{"vsock_interrupts"};
  kernel::Counter kicks{"vsock_kicks"};
  kernel::Counter transport_resets{"vsock_transport_resets"};
  kernel::Counter device_faults{"vsock_device_faults"};

  void register_all(kernel::CounterRegistry& registry);
};

}  // namespace guest::drivers
