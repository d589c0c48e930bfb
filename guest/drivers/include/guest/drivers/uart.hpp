// What every console UART shares: polled output that cannot hang, interrupt-driven input into a ring.
//
//   host ---> RX FIFO --interrupt handler--> ring --work item--> read() by the shell
//
// Nothing that arrives is dropped while the ring has room. When it is full the receive interrupt is masked, so that
// bytes stay in the FIFO and the other side is held back; read() unmasks it when half the ring is free again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/drivers/byte_ring.hpp"
#include "guest/drivers/mmio.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/work.hpp"

namespace guest::drivers {

class Uart : public kernel::TextOutput {
 public:
  static constexpr std::size_t kInputBytes = 4096;
  /// Status reads that one byte waits for room in the transmitter. At 115,200 baud a byte takes 87 microseconds and a
  /// read some 100 nanoseconds on slow hardware, so this is about a hundred byte times.
  static constexpr std::uint32_t kMaxPolls = 100'000;

  Uart(const Uart&) = delete;
  Uart& operator=(const Uart&) = delete;

  /// Sets the port up for polled use: 8 data bits, no parity, FIFOs on, interrupts masked. The baud rate stays what the
  /// firmware set. Once, before anything else.
  virtual void init() = 0;

  /// Writes bytes as they are. Waits for the transmitter a bounded time: a byte that found no room is dropped and
  /// counted, and until the transmitter is ready again later bytes poll once only, so a dead port costs no time. From
  /// any context that does not run on top of another write (a panic does, and may garble that one line).
  void write(std::string_view text) override;

  /// Starts interrupt-driven input: `queue` gets `on_input` raised when bytes have arrived. Attach on_interrupt() to
  /// the port's interrupt before this call.
  void start_receiving(kernel::WorkQueue& queue, kernel::WorkItem& on_input);
  /// The port's interrupt (level). Moves bytes only.
  void on_interrupt();
  /// An InterruptHandler for Interrupts::attach(); `uart` is the Uart.
  static void interrupt_thunk(void* uart) { static_cast<Uart*>(uart)->on_interrupt(); }
  /// Takes up to out.size() received bytes; returns how many. From the main loop.
  std::size_t read(std::span<std::byte> out);

  /// "pl011", "ns16550a"
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Adds the counters below; the port must outlive the registry.
  void register_counters(kernel::CounterRegistry& registry);

  [[nodiscard]] std::uint64_t tx_dropped() const { return tx_dropped_.value(); }
  [[nodiscard]] std::uint64_t rx_errors() const { return rx_errors_.value(); }

 protected:
  /// One byte from the receiver.
  struct Received {
    enum class Kind : std::uint8_t { Nothing, Byte, Error } kind;
    std::byte value;
    bool overrun = false;  ///< bytes were lost before or after this one
  };

  Uart() = default;
  ~Uart() = default;

  /// Moves a bounded number of bytes from the FIFO into the ring. init() keeps with it what was typed before the port
  /// was set up. True if there were any.
  bool move_input();

  /// The transmitter has room for a byte. One register read.
  virtual bool transmit_ready() = 0;
  virtual void transmit(std::uint8_t value) = 0;
  /// Takes a byte out of the FIFO. Error: a byte with a framing, parity or break condition, without a value of use.
  virtual Received receive() = 0;
  /// Masks or unmasks the receive interrupts. They stay pending until the FIFO is read (never cleared by hand: that
  /// could lose the one for bytes that are still there), so unmasking with bytes in the FIFO interrupts again.
  virtual void set_receive_interrupt(bool on) = 0;

 private:
  bool wait_for_room();

  ByteRing<kInputBytes> input_;
  kernel::WorkQueue* queue_ = nullptr;
  kernel::WorkItem* on_input_ = nullptr;
  bool receive_held_ = false;  ///< the interrupt is masked because the ring is full
  bool stalled_ = false;       ///< the last byte found no room
  kernel::Counter tx_bytes_{"uart_tx_bytes"};
  kernel::Counter tx_dropped_{"uart_tx_dropped"};
  kernel::Counter rx_bytes_{"uart_rx_bytes"};
  kernel::Counter rx_errors_{"uart_rx_errors"};
  kernel::Counter rx_overruns_{"uart_rx_overruns"};
  kernel::Counter rx_held_{"uart_rx_held"};
  kernel::Counter interrupts_{"uart_interrupts"};
};

}  // namespace guest::drivers
