// Arm PrimeCell UART (PL011), Arm DDI 0183.
#pragma once

#include "guest/drivers/mmio.hpp"
#include "guest/drivers/uart.hpp"

namespace guest::drivers {

class Pl011 final : public Uart {
 public:
  /// Arm DDI 0183, Summary of registers. Offsets in bytes; accessed as 32-bit words.
  enum class Register : std::uint32_t {
    DR = 0x000,     // rw, data; reads carry the error bits of the byte
    FR = 0x018,     // ro, flags
    LCR_H = 0x02c,  // rw, line control
    CR = 0x030,     // rw, control
    IMSC = 0x038,   // rw, interrupt mask: 1 lets through
    ICR = 0x044,    // wo, interrupt clear
  };
  /// Arm DDI 0183, Data Register, UARTDR.
  enum Data : std::uint32_t {
    kDataByte = 0xff,
    kDataErrors = 0x700 /* framing, parity, break */,
    kDataOverrun = 0x800
  };
  /// Arm DDI 0183, Flag Register, UARTFR.
  enum Flag : std::uint32_t { kFlagBusy = 1U << 3, kFlagRxFifoEmpty = 1U << 4, kFlagTxFifoFull = 1U << 5 };
  /// Arm DDI 0183, Line Control Register, UARTLCR_H.
  enum Line : std::uint32_t { kLineFifoEnable = 1U << 4, kLineWord8 = 3U << 5 };
  /// Arm DDI 0183, Control Register, UARTCR.
  enum Control : std::uint32_t { kControlEnable = 1U << 0, kControlTx = 1U << 8, kControlRx = 1U << 9 };
  /// Arm DDI 0183, Interrupt Mask Set/Clear Register, UARTIMSC: receive level reached, receive timeout.
  enum Interrupt : std::uint32_t { kInterruptRx = 1U << 4, kInterruptRxTimeout = 1U << 6, kInterruptAll = 0x7ff };

  explicit Pl011(Mmio& registers) : registers_(registers) {}

  void init() override;
  [[nodiscard]] std::string_view name() const override { return "pl011"; }

 private:
  bool transmit_ready() override;
  void transmit(std::uint8_t value) override;
  Received receive() override;
  void set_receive_interrupt(bool on) override;

  std::uint32_t read(Register reg) { return registers_.read32(static_cast<std::uint32_t>(reg)); }
  void write_register(Register reg, std::uint32_t value) { registers_.write32(static_cast<std::uint32_t>(reg), value); }

  Mmio& registers_;
};

}  // namespace guest::drivers
