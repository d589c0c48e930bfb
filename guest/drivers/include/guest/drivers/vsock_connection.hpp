// One vsock connection: state, credit, bytes that wait to be read.
//
//   host --REQUEST--> Open (RESPONSE due)      connect(): Connecting --RESPONSE--> Open
//   Open --close()--> Lingering (SHUTDOWN due) --RST of the peer--> Ended
//   Open --RST, reset(), violation, SHUTDOWN(both) with nothing left to read--> Ended (RST due unless the peer sent
//   one) Ended --RST sent, on_closed() called--> Free
//
// Each direction ends on its own: SHUTDOWN(send) of the peer ends reading after what has arrived, SHUTDOWN(receive)
// ends writing. VIRTIO 1.2, Socket Device, Device Operation.
//
// Credit (VIRTIO 1.2, Socket Device, Buffer Space Management): all counts are 32 bits and wrap on purpose; only
// differences mean something.
//
//   to the peer     tx_cnt - peer_fwd_cnt bytes are in flight, at most peer_buf_alloc may be
//   from the peer   rx_cnt - fwd_cnt bytes wait to be read, more than buf_alloc is a violation
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/vsock.hpp"
#include "guest/drivers/receive_buffer.hpp"
#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/stream.hpp"

namespace guest::drivers {

class VsockMux;  // NOLINT(cppcoreguidelines-virtual-class-destructor): final, as its definition says

/// Names a connection.
struct VsockKey {
  std::uint32_t local_port = 0;
  std::uint32_t peer_port = 0;
  friend bool operator==(const VsockKey&, const VsockKey&) = default;
};

/// A slot of the connection table. Everything but the Stream interface belongs to VsockMux.
class VsockConnection final : public kernel::Stream {
 public:
  VsockConnection() = default;
  VsockConnection(const VsockConnection&) = delete;
  VsockConnection& operator=(const VsockConnection&) = delete;

  std::size_t read(std::span<std::byte> out) override;
  [[nodiscard]] std::span<const std::byte> peek() override;
  void consume(std::size_t count) override;
  std::size_t write(std::span<const std::byte> data) override;
  void finish_sending() override;
  [[nodiscard]] bool receive_ended() const override;
  [[nodiscard]] bool send_ended() const override;
  void close() override;
  void reset() override;

 private:
  friend class VsockMux;  // NOLINT(cppcoreguidelines-virtual-class-destructor): final, as its definition says
  enum class State : std::uint8_t { Free, Connecting, Open, Lingering, Ended };
  /// Packets that are due, as bits of pending_. Sent in this order.
  enum Pending : std::uint8_t {
    kReset = 1,
    kRequest = 2,
    kResponse = 4,
    kCreditUpdate = 8,
    kCreditRequest = 16,
    kShutdown = 32,
  };

  [[nodiscard]] std::uint32_t peer_credit() const {
    const std::uint32_t in_flight = tx_cnt_ - peer_fwd_cnt_;
    return in_flight >= peer_buf_alloc_ ? 0 : peer_buf_alloc_ - in_flight;
  }
  /// What of `wanted` bytes may be sent in one packet now. 0: `wait_for_room` or the peer's credit.
  std::size_t sendable(std::size_t wanted, bool& wait_for_room);
  void consumed(std::size_t bytes);
  [[nodiscard]] bool nothing_unread() const { return buffer_.empty() && loan_.empty(); }

  VsockMux* mux_ = nullptr;
  kernel::StreamHandler* handler_ = nullptr;
  VsockKey key_;
  State state_ = State::Free;
  std::uint8_t pending_ = 0;
  bool write_wanted_ = false;      ///< a write was short; on_writable() is owed
  bool credit_requested_ = false;  ///< once for each stall
  bool large_window_ = false;      ///< counted in VsockMux::large_windows_bytes_
  std::uint32_t local_shutdown_ = 0;
  std::uint32_t peer_shutdown_ = 0;

  std::uint32_t tx_cnt_ = 0;
  std::uint32_t peer_buf_alloc_ = 0;
  std::uint32_t peer_fwd_cnt_ = 0;
  std::uint32_t turn_left_bytes_ = 0;  ///< what may still be written before others get their turn

  std::uint32_t buf_alloc_ = 0;
  std::uint32_t rx_cnt_ = 0;
  std::uint32_t fwd_cnt_ = 0;
  std::uint32_t fwd_cnt_told_ = 0;
  ReceiveBuffer buffer_;
  std::span<const std::byte> loan_;  ///< unread part of the packet being delivered, still in the device's buffer

  VsockConnection* next_in_bucket_ = nullptr;
  kernel::ListLink<VsockConnection> pending_link_;
  kernel::ListLink<VsockConnection> writer_link_;
  kernel::ListLink<VsockConnection> closed_link_;
  kernel::ListLink<VsockConnection> age_link_;  ///< free list, or lingering ones by age
};

}  // namespace guest::drivers
