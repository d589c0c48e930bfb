#include "guest/drivers/pl011.hpp"

namespace guest::drivers {

void Pl011::init() {
  // DDI 0183, Control Register: disable, let the current character end, then change the line control.
  write_register(Register::IMSC, 0);
  write_register(Register::CR, 0);
  for (std::uint32_t i = 0; i < kMaxPolls && (read(Register::FR) & kFlagBusy) != 0; ++i) {
  }
  write_register(Register::LCR_H, kLineFifoEnable | kLineWord8);
  write_register(Register::ICR, kInterruptAll);
  write_register(Register::CR, kControlEnable | kControlTx | kControlRx);
  // What was typed before. Not read earlier: the next byte would come in then, and be lost as the FIFO is switched on.
  // If the byte went with the switch, an emulated port (QEMU's) still holds its sender back until the data register is
  // read, and nothing would ever arrive.
  if (!move_input()) {
    static_cast<void>(read(Register::DR));
  }
}

bool Pl011::transmit_ready() { return (read(Register::FR) & kFlagTxFifoFull) == 0; }

void Pl011::transmit(std::uint8_t value) { write_register(Register::DR, value); }

Uart::Received Pl011::receive() {
  if ((read(Register::FR) & kFlagRxFifoEmpty) != 0) {
    return {.kind = Received::Kind::Nothing, .value = {}};
  }
  const std::uint32_t data = read(Register::DR);
  const bool overrun = (data & kDataOverrun) != 0;
  if ((data & kDataErrors) != 0) {
    return {.kind = Received::Kind::Error, .value = {}, .overrun = overrun};
  }
  return {.kind = Received::Kind::Byte, .value = static_cast<std::byte>(data & kDataByte), .overrun = overrun};
}

void Pl011::set_receive_interrupt(bool on) {
  write_register(Register::IMSC, on ? kInterruptRx | kInterruptRxTimeout : 0U);
}

}  // namespace guest::drivers
