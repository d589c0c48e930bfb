// 16550A UART (National Semiconductor PC16550D data sheet), with the register spacing and width of the device tree.
#pragma once

#include "guest/drivers/mmio.hpp"
#include "guest/drivers/uart.hpp"

namespace guest::drivers {

class Ns16550a final : public Uart {
 public:
  /// PC16550D, Summary of Registers. Numbers of registers, not bytes: the spacing differs between machines.
  enum class Register : std::uint32_t {
    Data = 0,             // rw, RBR and THR
    InterruptEnable = 1,  // rw, IER
    FifoControl = 2,      // wo, FCR
    LineControl = 3,      // rw, LCR
    ModemControl = 4,     // rw, MCR
    LineStatus = 5,       // ro, LSR
  };
  /// PC16550D, Interrupt Enable Register.
  enum Enable : std::uint8_t { kEnableRx = 1U << 0, kEnableLineStatus = 1U << 2 };
  /// PC16550D, FIFO Control Register. Trigger level 8 of 16, and a timeout for what is less.
  enum Fifo : std::uint8_t { kFifoOn = 1U << 0, kFifoClear = 3U << 1, kFifoTrigger8 = 2U << 6 };
  /// PC16550D, Line Control Register. The divisor latch bit (7) stays clear.
  enum Line : std::uint8_t { kLineWord8 = 3 };
  /// PC16550D, MODEM Control Register. OUT2 gates the interrupt line on many boards.
  enum Modem : std::uint8_t { kModemDtr = 1U << 0, kModemRts = 1U << 1, kModemOut2 = 1U << 3 };
  /// PC16550D, Line Status Register.
  enum Status : std::uint8_t {
    kStatusDataReady = 1U << 0,
    kStatusOverrun = 1U << 1,
    kStatusErrors = 7U << 2,  // parity, framing, break
    kStatusTxEmpty = 1U << 5,
  };

  /// Device tree properties reg-shift and reg-io-width of "ns16550a".
  struct Layout {
    std::uint8_t reg_shift = 0;       ///< registers are 1 << reg_shift bytes apart; 0 to 4
    std::uint8_t io_width_bytes = 1;  ///< 1, 2 or 4
  };

  Ns16550a(Mmio& registers, Layout layout) : registers_(registers), layout_(layout) {}

  void init() override;
  [[nodiscard]] std::string_view name() const override { return "ns16550a"; }

 private:
  bool transmit_ready() override;
  void transmit(std::uint8_t value) override;
  Received receive() override;
  void set_receive_interrupt(bool on) override;

  std::uint8_t read(Register reg);
  void write_register(Register reg, std::uint8_t value);

  Mmio& registers_;
  Layout layout_;
};

}  // namespace guest::drivers
