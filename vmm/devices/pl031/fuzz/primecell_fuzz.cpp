// A hostile guest at the PL011 and the PL031, with input, time and snapshots in between. What must hold: no byte of the
// console is lost or invented, in either direction, and the interrupt lines are what the registers say.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "vmm/devices/pl011/pl011.hpp"
#include "vmm/devices/pl031/pl031.hpp"

using namespace vmm;

namespace {

constexpr std::uint64_t kUartDr = 0x00, kUartFr = 0x18, kUartCr = 0x30, kUartMis = 0x40, kRtcMis = 0x18;
constexpr std::uint64_t kReceiveEmpty = 1 << 4, kLoopback = 1 << 7;

struct Line final : mmio::InterruptLine {
  bool level = false;
  void set(bool asserted) override {
    if (asserted == level) __builtin_trap();
    level = asserted;
  }
};

struct Clock final : WallClock {
  std::chrono::nanoseconds time = std::chrono::seconds(1'800'000'000);
  [[nodiscard]] std::chrono::nanoseconds now() const override { return time; }
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  template <typename T>
  T take() {
    T value{};
    const std::size_t bytes = std::min(sizeof value, rest_.size());
    std::memcpy(&value, rest_.data(), bytes);
    rest_ = rest_.subspan(bytes);
    return value;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

struct Machine {
  Line uart_line, rtc_line;
  Clock clock;
  bool output_announced = false;
  bool room_announced = false;
  bool held = false;
  std::size_t written = 0;
  std::uint8_t typed = 0, read_back = 0;  ///< counters, so that every byte tells its place
  bool own_bytes = true;                  ///< nothing but receive() has filled the FIFO
  Pl011 uart{uart_line,
             {.output_ready = [this] { output_announced = true; }, .input_room = [this] { room_announced = true; }}};
  Pl031 rtc{rtc_line, clock, {}};

  void write_uart(std::uint64_t offset, unsigned size, std::uint64_t value) {
    if (offset == kUartDr) {
      if ((uart.read(kUartCr, 4) & kLoopback) != 0) {
        own_bytes = false;
      } else {
        ++written;
      }
    }
    uart.write(offset, size, value);
    if (written != 0 && !output_announced) __builtin_trap();
    if (written == Pl011::kOutputBytes) drain();
  }
  void drain() {
    if (uart.take_output().size() != written) __builtin_trap();
    written = 0;
    output_announced = false;
  }
  void type(std::size_t count) {
    if (held && !room_announced) return;  // as an owner that waits for input_room does
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(typed + i));
    room_announced = false;
    const std::size_t taken = uart.receive(bytes);
    held = taken < count;
    typed = static_cast<std::uint8_t>(typed + taken);
  }
  void read_uart(std::uint64_t offset, unsigned size) {
    const bool has_byte = (uart.read(kUartFr, 4) & kReceiveEmpty) == 0;
    const std::uint64_t value = uart.read(offset, size);
    if (offset != kUartDr || !has_byte || !own_bytes) return;
    if ((value & 0xff) != read_back++) __builtin_trap();
  }
  void check() {
    if (uart_line.level != (uart.read(kUartMis, 4) != 0)) __builtin_trap();
    const bool rtc_raised = rtc.read(kRtcMis, 4) != 0;  // looks at the clock, too
    if (rtc_line.level != rtc_raised) __builtin_trap();
    const auto wait = rtc.until_alarm();
    if (wait && wait->count() < 0) __builtin_trap();
  }
};

template <typename Device, typename State>
void swap_state(Device& device, Input& input) {
  State state = device.save();
  const auto at = input.take<std::uint16_t>() % sizeof state;
  reinterpret_cast<unsigned char*>(&state)[at] ^= input.take<std::uint8_t>();  // bytes of a plain struct
  (void)device.restore(state);
}

void step(Machine& machine, Input& input) {
  const auto kind = input.take<std::uint8_t>();
  const auto small = input.take<std::uint8_t>();
  const unsigned size = 1u << kind / 16 % 4;
  switch (kind % 9) {
    case 0:
      return machine.write_uart(small % 20 * 4u, size, input.take<std::uint32_t>());
    case 1:
      return machine.write_uart(small * 16u, size, input.take<std::uint64_t>());
    case 2:
      return machine.read_uart(small % 20 * 4u, size);
    case 3:
      return machine.type(small % 40u);
    case 4:
      return machine.drain();
    case 5:
      return machine.rtc.write(small % 10 * 4u, size, input.take<std::uint32_t>());
    case 6:
      (void)machine.rtc.read(small * 16u, size);
      return;
    case 7:
      machine.clock.time += std::chrono::milliseconds(input.take<std::int32_t>());
      return machine.rtc.evaluate();
    default:
      break;
  }
  if (small % 2 == 0) {
    machine.own_bytes = false;
    machine.held = false;
    return swap_state<Pl011, Pl011State>(machine.uart, input);
  }
  swap_state<Pl031, Pl031State>(machine.rtc, input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Machine machine;
  Input input(data, size);
  for (int steps = 0; steps < 1000 && !input.empty(); ++steps) {
    step(machine, input);
    machine.check();
  }
  machine.drain();
  return 0;
}
