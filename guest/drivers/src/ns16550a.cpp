#include "guest/drivers/ns16550a.hpp"

namespace guest::drivers {

std::uint8_t Ns16550a::read(Register reg) {
  const std::uint32_t offset = static_cast<std::uint32_t>(reg) << layout_.reg_shift;
  switch (layout_.io_width_bytes) {
    case 4:
      return static_cast<std::uint8_t>(registers_.read32(offset));
    case 2:
      return static_cast<std::uint8_t>(registers_.read16(offset));
    default:
      return registers_.read8(offset);
  }
}

void Ns16550a::write_register(Register reg, std::uint8_t value) {
  const std::uint32_t offset = static_cast<std::uint32_t>(reg) << layout_.reg_shift;
  switch (layout_.io_width_bytes) {
    case 4:
      registers_.write32(offset, value);
      break;
    case 2:
      registers_.write16(offset, value);
      break;
    default:
      registers_.write8(offset, value);
      break;
  }
}

void Ns16550a::init() {
  write_register(Register::InterruptEnable, 0);
  write_register(Register::LineControl, kLineWord8);
  move_input();
  write_register(Register::FifoControl, kFifoOn | kFifoClear | kFifoTrigger8);
  write_register(Register::ModemControl, kModemDtr | kModemRts | kModemOut2);
}

bool Ns16550a::transmit_ready() { return (read(Register::LineStatus) & kStatusTxEmpty) != 0; }

void Ns16550a::transmit(std::uint8_t value) { write_register(Register::Data, value); }

Uart::Received Ns16550a::receive() {
  const std::uint8_t status = read(Register::LineStatus);
  if ((status & kStatusDataReady) == 0) {
    return {.kind = Received::Kind::Nothing, .value = {}};
  }
  const bool overrun = (status & kStatusOverrun) != 0;
  const std::uint8_t data = read(Register::Data);
  if ((status & kStatusErrors) != 0) {
    return {.kind = Received::Kind::Error, .value = {}, .overrun = overrun};
  }
  return {.kind = Received::Kind::Byte, .value = static_cast<std::byte>(data), .overrun = overrun};
}

void Ns16550a::set_receive_interrupt(bool on) {
  write_register(Register::InterruptEnable, on ? kEnableRx | kEnableLineStatus : 0);
}

}  // namespace guest::drivers
