// What the vsock device counts, hop by hop, so that a lost packet can be found.
#pragma once

#include <array>

#include "vmm/base/counter.hpp"

namespace vmm::vsock {

/// Totals since the device was made; they survive a reset of the guest. "rx" is towards the guest, "tx" from it, as the
/// guest's queues are called. Written by the device's thread, read by any.
struct Counters {
  // Packets and payload bytes on the guest's queues.
  Counter rx_packets;
  Counter rx_bytes;
  Counter tx_packets;
  Counter tx_bytes;
  // Bytes on the host's Unix sockets (after CONNECT and OK).
  Counter host_read_bytes;
  Counter host_written_bytes;
  // Notifications.
  Counter rx_kicks;
  Counter tx_kicks;
  Counter interrupts;

  // Host clients of the public socket and of the direct one.
  Counter clients_accepted;  ///< accept() succeeded
  Counter clients_refused_quota;
  Counter clients_refused_closed_port;  ///< asked for the port of the direct socket
  Counter connect_lines_bad;            ///< malformed or too long
  Counter connect_lines_timeout;        ///< half a line, then silence
  Counter connect_lines_abandoned;      ///< closed before the line was complete

  // Connections; each ends in exactly one of closed, reset_by_*, refused_by_*, timed_out, abandoned.
  Counter connections_from_host;   ///< CONNECT lines accepted, and clients of the direct socket
  Counter connections_from_guest;  ///< REQUEST packets accepted
  Counter established;
  Counter closed;            ///< both sides ended in order
  Counter reset_by_guest;    ///< RST from the guest after it was established
  Counter reset_by_host;     ///< host side broke, protocol violation, guest reset, or shutdown of the monitor
  Counter refused_by_guest;  ///< no listener on the port
  Counter refused_by_host;   ///< nobody listens on <socket>_<port>, or no room
  Counter timed_out;         ///< the guest did not answer the REQUEST
  Counter abandoned;         ///< the client left before the guest had answered
  Counter open;              ///< now
  Counter open_peak;

  // Packets from the guest that were not delivered, by reason.
  Counter drop_short_packet;     ///< no room for a header, or less payload than its len says
  Counter drop_bad_source;       ///< src_cid is not the guest's
  Counter drop_bad_destination;  ///< dst_cid is not the host
  Counter drop_bad_type;         ///< not a stream
  Counter drop_bad_operation;    ///< unknown, or not allowed in this state
  Counter drop_no_connection;    ///< answered with RST
  Counter drop_credit_violation;
  Counter resets_sent;   ///< RST packets to the guest
  Counter queue_errors;  ///< broken rings; the device needs a reset after each
  Counter device_resets;
};

/// One counter with the name it has in summary.json.
struct CounterField {
  const char* name;
  Counter Counters::* member;
};

/// Every counter, in the order of the structure.
inline constexpr std::array kCounterFields = {
    CounterField{"rx_packets", &Counters::rx_packets},
    CounterField{"rx_bytes", &Counters::rx_bytes},
    CounterField{"tx_packets", &Counters::tx_packets},
    CounterField{"tx_bytes", &Counters::tx_bytes},
    CounterField{"host_read_bytes", &Counters::host_read_bytes},
    CounterField{"host_written_bytes", &Counters::host_written_bytes},
    CounterField{"rx_kicks", &Counters::rx_kicks},
    CounterField{"tx_kicks", &Counters::tx_kicks},
    CounterField{"interrupts", &Counters::interrupts},
    CounterField{"clients_accepted", &Counters::clients_accepted},
    CounterField{"clients_refused_quota", &Counters::clients_refused_quota},
    CounterField{"clients_refused_closed_port", &Counters::clients_refused_closed_port},
    CounterField{"connect_lines_bad", &Counters::connect_lines_bad},
    CounterField{"connect_lines_timeout", &Counters::connect_lines_timeout},
    CounterField{"connect_lines_abandoned", &Counters::connect_lines_abandoned},
    CounterField{"connections_from_host", &Counters::connections_from_host},
    CounterField{"connections_from_guest", &Counters::connections_from_guest},
    CounterField{"established", &Counters::established},
    CounterField{"closed", &Counters::closed},
    CounterField{"reset_by_guest", &Counters::reset_by_guest},
    CounterField{"reset_by_host", &Counters::reset_by_host},
    CounterField{"refused_by_guest", &Counters::refused_by_guest},
    CounterField{"refused_by_host", &Counters::refused_by_host},
    CounterField{"timed_out", &Counters::timed_out},
    CounterField{"abandoned", &Counters::abandoned},
    CounterField{"open", &Counters::open},
    CounterField{"open_peak", &Counters::open_peak},
    CounterField{"drop_short_packet", &Counters::drop_short_packet},
    CounterField{"drop_bad_source", &Counters::drop_bad_source},
    CounterField{"drop_bad_destination", &Counters::drop_bad_destination},
    CounterField{"drop_bad_type", &Counters::drop_bad_type},
    CounterField{"drop_bad_operation", &Counters::drop_bad_operation},
    CounterField{"drop_no_connection", &Counters::drop_no_connection},
    CounterField{"drop_credit_violation", &Counters::drop_credit_violation},
    CounterField{"resets_sent", &Counters::resets_sent},
    CounterField{"queue_errors", &Counters::queue_errors},
    CounterField{"device_resets", &Counters::device_resets},
};
static_assert(sizeof(Counters) == kCounterFields.size() * sizeof(Counter), "every counter is in the list");

}  // namespace vmm::vsock
