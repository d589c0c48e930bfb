#include "vmm/devices/pl011/pl011.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace vmm {
namespace {

/// Arm DDI 0183, Summary of registers.
enum Register : std::uint32_t {
  DR = 0x000,     // rw, data
  RSR = 0x004,    // rw, receive status; a write clears the errors (ECR)
  FR = 0x018,     // ro, flags
  ILPR = 0x020,   // rw, IrDA low-power counter
  IBRD = 0x024,   // rw, integer baud rate
  FBRD = 0x028,   // rw, fractional baud rate
  LCR_H = 0x02c,  // rw, line control
  CR = 0x030,     // rw, control
  IFLS = 0x034,   // rw, interrupt FIFO level select
  IMSC = 0x038,   // rw, interrupt mask: 1 lets through
  RIS = 0x03c,    // ro, raw interrupt status
  MIS = 0x040,    // ro, masked interrupt status
  ICR = 0x044,    // wo, interrupt clear
  DMACR = 0x048,  // rw, DMA control
};

/// Revision r1p1, whose FIFOs have 16 entries.
constexpr std::uint32_t kPeripheralId = 0x0014'1011;

/// Which bits of a register exist.
namespace implemented {
constexpr std::uint32_t kIlpr = 0xff, kIbrd = 0xffff, kFbrd = 0x3f, kLcrH = 0xff, kCr = 0xff87, kIfls = 0x3f,
                        kImsc = 0x7ff, kDmacr = 0x7, kRsr = 0xf;
}  // namespace implemented

/// Flag Register, UARTFR.
namespace flag {
constexpr std::uint32_t kCts = 1u << 0, kDsr = 1u << 1, kDcd = 1u << 2, kRxEmpty = 1u << 4, kRxFull = 1u << 6,
                        kTxEmpty = 1u << 7, kRi = 1u << 8;
}  // namespace flag

/// Line Control Register, UARTLCR_H; Control Register, UARTCR.
constexpr std::uint32_t kLineFifoEnable = 1u << 4;
namespace control {
constexpr std::uint32_t kEnable = 1u << 0, kLoopback = 1u << 7, kRxEnable = 1u << 9, kDtr = 1u << 10, kRts = 1u << 11,
                        kOut1 = 1u << 12, kOut2 = 1u << 13;
}  // namespace control

/// Interrupts, in RIS, MIS, IMSC and ICR.
namespace interrupt {
constexpr std::uint32_t kRi = 1u << 0, kCts = 1u << 1, kDcd = 1u << 2, kDsr = 1u << 3, kRx = 1u << 4, kTx = 1u << 5,
                        kRxTimeout = 1u << 6, kOverrun = 1u << 10;
}  // namespace interrupt

constexpr std::uint32_t kOverrunError = 1u << 3;  // RSR; four bits of it are bits 11:8 of DR
constexpr unsigned kErrorsInData = 8;

struct ModemLine {
  std::uint32_t output;  // in CR, which loopback connects to
  std::uint32_t input;   // in FR
  std::uint32_t changed;
};
/// Control Register, UARTCR, LBE: which output is which input then.
constexpr ModemLine kModemLines[] = {{control::kRts, flag::kCts, interrupt::kCts},
                                     {control::kDtr, flag::kDsr, interrupt::kDsr},
                                     {control::kOut1, flag::kDcd, interrupt::kDcd},
                                     {control::kOut2, flag::kRi, interrupt::kRi}};

}  // namespace

Pl011::Pl011(mmio::InterruptLine& line, Pl011Options options) : line_(line), options_(std::move(options)) {}

std::uint64_t Pl011::read(std::uint64_t offset, unsigned) {
  if (offset == FR) return flags_.load(std::memory_order_relaxed);  // relaxed: see publish()
  if (offset % 4 != 0) return 0;
  if (offset >= mmio::kPrimeCellIds) return mmio::primecell_id(offset, kPeripheralId);
  bool room = false;
  std::uint32_t value = 0;
  {
    const std::lock_guard lock(mutex_);
    value = read_register(static_cast<std::uint32_t>(offset));
    room = room_to_announce();
  }
  if (room) options_.input_room();
  return value;
}

void Pl011::write(std::uint64_t offset, unsigned, std::uint64_t value) {
  if (offset % 4 != 0 || offset >= mmio::kPrimeCellIds) return;
  bool first_output = false;
  bool room = false;
  {
    std::unique_lock lock(mutex_);
    if (offset == DR && (state_.cr & control::kLoopback) == 0) {
      first_output = transmit(lock, static_cast<std::uint8_t>(value & 0xff));
    } else {
      write_register(static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(value));
    }
    publish();
    room = room_to_announce();
  }
  if (first_output) options_.output_ready();
  if (room) options_.input_room();
}

/// True if there was no output before. Waits while there is no room for it.
bool Pl011::transmit(std::unique_lock<std::mutex>& lock, std::uint8_t byte) {
  output_taken_.wait(lock, [this] { return output_used_ < kOutputBytes || shut_down_; });
  state_.ris |= interrupt::kTx;  // the FIFO filled and drained in no time
  if (output_used_ == kOutputBytes) return false;
  output_[filling_][output_used_++] = static_cast<char>(byte);
  return output_used_ == 1;
}

std::string_view Pl011::take_output() {
  std::string_view taken;
  {
    const std::lock_guard lock(mutex_);
    taken = {output_[filling_].data(), output_used_};
    filling_ ^= 1;
    output_used_ = 0;
  }
  output_taken_.notify_all();
  return taken;
}

void Pl011::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    shut_down_ = true;
  }
  output_taken_.notify_all();
}

std::uint32_t Pl011::read_register(std::uint32_t offset) {
  switch (offset) {
    case DR:
      return pop();
    case RSR:
      return state_.rsr;
    case ILPR:
      return state_.ilpr;
    case IBRD:
      return state_.ibrd;
    case FBRD:
      return state_.fbrd;
    case LCR_H:
      return state_.lcr_h;
    case CR:
      return state_.cr;
    case IFLS:
      return state_.ifls;
    case IMSC:
      return state_.imsc;
    case RIS:
      return state_.ris;
    case MIS:
      return state_.ris & state_.imsc;
    case DMACR:
      return state_.dmacr;
    default:
      return 0;  // ICR, the test registers, reserved; FR is read without the lock
  }
}

void Pl011::write_register(std::uint32_t offset, std::uint32_t value) {
  switch (offset) {
    case DR:  // in loopback
      state_.ris |= interrupt::kTx;
      if (receiver_on()) push(static_cast<std::uint8_t>(value & 0xff));
      return line_idle();
    case RSR:
      state_.rsr = 0;
      return;
    case ILPR:
      state_.ilpr = value & implemented::kIlpr;
      return;
    case IBRD:
      state_.ibrd = value & implemented::kIbrd;
      return;
    case FBRD:
      state_.fbrd = value & implemented::kFbrd;
      return;
    case LCR_H:
      // Bytes beyond the new depth stay until they are read: nothing that was typed is lost.
      state_.lcr_h = value & implemented::kLcrH;
      return;
    case CR:
      return set_control(value & implemented::kCr);
    case IFLS:
      state_.ifls = value & implemented::kIfls;
      return;
    case IMSC:
      state_.imsc = value & implemented::kImsc;
      return line_idle();
    case ICR:
      state_.ris &= ~value;
      return line_idle();
    case DMACR:
      state_.dmacr = value & implemented::kDmacr;
      return;
    default:
      return;  // read-only, the test registers, reserved
  }
}

std::uint32_t Pl011::modem_inputs() const {
  if ((state_.cr & control::kLoopback) == 0) return flag::kCts | flag::kDsr | flag::kDcd;
  std::uint32_t inputs = 0;
  for (const ModemLine& modem : kModemLines) {
    if ((state_.cr & modem.output) != 0) inputs |= modem.input;
  }
  return inputs;
}

void Pl011::set_control(std::uint32_t value) {
  const std::uint32_t before = modem_inputs();
  state_.cr = value;
  const std::uint32_t changed = before ^ modem_inputs();
  for (const ModemLine& modem : kModemLines) {
    if ((changed & modem.input) != 0) state_.ris |= modem.changed;
  }
}

std::uint32_t Pl011::flags() const {
  std::uint32_t value = flag::kTxEmpty | modem_inputs();
  if (state_.fifo_count == 0) value |= flag::kRxEmpty;
  if (state_.fifo_count >= depth()) value |= flag::kRxFull;
  return value;
}

/// Character mode has a holding register of one byte.
std::uint32_t Pl011::depth() const { return (state_.lcr_h & kLineFifoEnable) != 0 ? Pl011State::kFifoBytes : 1; }

bool Pl011::receiver_on() const {
  constexpr std::uint32_t kBoth = control::kEnable | control::kRxEnable;
  return (state_.cr & kBoth) == kBoth;
}

/// For a byte from outside; in loopback that line is cut.
bool Pl011::has_room() const {
  return receiver_on() && (state_.cr & control::kLoopback) == 0 && state_.fifo_count < depth();
}

/// True once after input was held back and there is room for it.
bool Pl011::room_to_announce() {
  if (!input_held_ || !has_room()) return false;
  input_held_ = false;
  return true;
}

/// How many bytes raise the receive interrupt: Interrupt FIFO Level Select Register, RXIFLSEL.
std::uint32_t Pl011::receive_trigger() const {
  if (depth() == 1) return 1;
  constexpr std::uint32_t kLevels[] = {2, 4, 8, 12, 14};
  constexpr unsigned kReceiveLevel = 3;  // bits 5:3
  const std::uint32_t selected = state_.ifls >> kReceiveLevel;
  return selected < std::size(kLevels) ? kLevels[selected] : Pl011State::kFifoBytes;
}

void Pl011::push(std::uint8_t byte) {
  if (state_.fifo_count >= depth()) {
    state_.rsr |= kOverrunError;
    state_.ris |= interrupt::kOverrun;
    return;
  }
  state_.fifo[(state_.fifo_first + state_.fifo_count) % Pl011State::kFifoBytes] = byte;
  ++state_.fifo_count;
  // "when the receive FIFO reaches the programmed trigger level": on the way up only.
  if (state_.fifo_count == receive_trigger()) state_.ris |= interrupt::kRx;
}

/// The next byte with its error bits; 0 if there is none.
std::uint32_t Pl011::pop() {
  if (state_.fifo_count == 0) return 0;
  const std::uint32_t value = state_.fifo[state_.fifo_first] | state_.rsr << kErrorsInData;
  state_.fifo_first = (state_.fifo_first + 1) % Pl011State::kFifoBytes;
  --state_.fifo_count;
  if (state_.fifo_count == 0) state_.ris &= ~(interrupt::kRx | interrupt::kRxTimeout);
  const bool timeout_unused = (state_.imsc & interrupt::kRxTimeout) == 0;
  if (state_.fifo_count < receive_trigger() && !timeout_unused) state_.ris &= ~interrupt::kRx;
  publish();
  return value;
}

/// Nothing has arrived for 32 bit periods: see the top of the header.
void Pl011::line_idle() {
  if (state_.fifo_count == 0) return;
  state_.ris |= interrupt::kRxTimeout;
  if ((state_.imsc & interrupt::kRxTimeout) == 0) state_.ris |= interrupt::kRx;
}

/// Tells the guest of a change: first the flags, which the interrupt's handler may read at once.
///
/// They are read without the lock, and relaxed is enough. The values of one word are seen in one order. They do not
/// contradict what the same thread reads under the lock: if it read that first, whoever made it had stored the flags
/// before giving the lock back; if it reads that later, it gets the lock after the one whose flags it has seen. A CPU
/// that learns of the change otherwise, by the interrupt or from another CPU through memory, has the barriers of the
/// host's interrupt controller or the guest's own between the store and its load, as with a device of silicon.
void Pl011::publish() {
  flags_.store(flags(), std::memory_order_relaxed);
  const bool asserted = (state_.ris & state_.imsc) != 0;
  if (asserted == asserted_) return;
  asserted_ = asserted;
  line_.set(asserted);
}

std::size_t Pl011::receive(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const std::lock_guard lock(mutex_);
  std::size_t taken = 0;
  for (; taken < bytes.size() && has_room(); ++taken) push(static_cast<std::uint8_t>(bytes[taken]));
  if (taken != 0) line_idle();
  publish();
  input_held_ = taken < bytes.size();
  return taken;
}

Pl011State Pl011::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Result<> Pl011::restore(const Pl011State& state) {
  using namespace implemented;
  const struct {
    const char* name;
    std::uint32_t value, allowed;
  } fields[] = {
      {"rsr", state.rsr, kRsr},
      {"ilpr", state.ilpr, kIlpr},
      {"ibrd", state.ibrd, kIbrd},
      {"fbrd", state.fbrd, kFbrd},
      {"lcr_h", state.lcr_h, kLcrH},
      {"cr", state.cr, kCr},
      {"ifls", state.ifls, kIfls},
      {"imsc", state.imsc, kImsc},
      {"ris", state.ris, kImsc},
      {"dmacr", state.dmacr, kDmacr},
      {"fifo_first", state.fifo_first, Pl011State::kFifoBytes - 1},
  };
  for (const auto& field : fields) {
    if ((field.value & ~field.allowed) == 0) continue;
    return fail("saved PL011 state: " + std::string(field.name) + " is " + std::to_string(field.value));
  }
  if (state.fifo_count > Pl011State::kFifoBytes) {
    return fail("saved PL011 state: fifo_count is " + std::to_string(state.fifo_count));
  }
  const std::lock_guard lock(mutex_);
  state_ = state;
  publish();
  return {};
}

}  // namespace vmm
